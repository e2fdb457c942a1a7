import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from seethrough.book.source_notebook import CHECKED, keep_checked_outputs


def notebook(*tags: list[str]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    cells = [new_code_cell("1", metadata={"tags": tag}) for tag in tags]
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    return new_notebook(cells=cells)


def test_only_checked_cells_keep_outputs() -> None:
    source, executed = notebook([], [CHECKED]), notebook([], [CHECKED])
    for cell in executed.cells:
        cell.execution_count = 7
        cell.outputs = [
            new_output("execute_result", {"text/plain": "1"}, execution_count=7),
        ]
    kept = keep_checked_outputs(source, executed)
    assert [len(cell.outputs) for cell in kept.cells] == [0, 1]
    assert kept.cells[1].outputs[0]["data"] == {"text/plain": "1"}
    assert [cell.execution_count for cell in kept.cells] == [None, None]


def test_another_notebook_is_refused() -> None:
    with pytest.raises(ValueError, match="c1"):
        keep_checked_outputs(notebook([], []), notebook([]))
