"""Saving the outputs that tests compare."""

from typing import Any

import nbformat


def test_checked_cells_alone_keep_their_output(tiny_project: Any) -> None:
    path = tiny_project.root / "notebooks" / "toy.ipynb"
    tiny_project.write_notebook("print(width)", "width")
    before = nbformat.read(path, as_version=4)
    before.cells[-1].metadata["tags"] = ["nbval-check-output"]
    before.cells[1].outputs = [nbformat.v4.new_output("stream", name="stdout", text="old")]
    nbformat.write(before, path)

    done = tiny_project.run("seethrough.book.save_outputs")
    assert done.returncode == 0, done.stderr
    after = nbformat.read(path, as_version=4)
    assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells]
    assert [cell.metadata for cell in after.cells] == [cell.metadata for cell in before.cells]
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    code = [cell for cell in after.cells if cell.cell_type == "code"]
    assert [len(cell.outputs) for cell in code] == [0, 0, 0, 1]
    assert code[-1].outputs[0].data["text/plain"] == "1"
    assert [cell.execution_count for cell in code] == [None, None, None, 4]
    text = path.read_text()
    assert tiny_project.run("seethrough.book.save_outputs").returncode == 0
    assert path.read_text() == text
