"""What is left of papermill's output in a notebook, and what is not."""

from typing import Any

import nbformat
import pytest

from seethrough.book.executed_notebook import tidy

v4 = nbformat.v4


@pytest.fixture
def notebook() -> Any:
    noise = {"papermill": {"duration": 1.0, "exception": False}}
    cells = [
        v4.new_markdown_cell("# Title", metadata={"tags": [], **noise}),
        v4.new_code_cell("width: int = 1", metadata={"tags": ["parameters", "keep-me"], **noise}),
        v4.new_code_cell("width = 5", metadata={"tags": ["injected-parameters"], **noise}),
        v4.new_code_cell(
            "work()",
            metadata={"tags": ["hide-input"], "mystnb": {"figure": {"name": "a"}}, **noise},
            execution_count=3,
            outputs=[
                v4.new_output("stream", name="stderr", text="50 %"),
                v4.new_output("stream", name="stdout", text="done"),
                v4.new_output("display_data", data={"text/plain": "x"}),
            ],
        ),
    ]
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    papermill = {"input_path": "/home/someone/a.ipynb", "output_path": "/home/someone/b.ipynb"}
    return v4.new_notebook(cells=cells, metadata={"papermill": papermill, "widgets": widgets})


def test_the_page_shows_one_cell_of_parameters(notebook: Any) -> None:
    _, defaults, injected, _ = tidy(notebook).cells
    assert defaults.metadata.tags == ["parameters", "keep-me", "remove-cell"]
    assert injected.metadata.tags == ["injected-parameters", "hide-input", "keep-me"]
    assert "parameters of this run" in injected.metadata.mystnb.code_prompt_show


def test_a_notebook_without_injected_parameters_shows_its_own(notebook: Any) -> None:
    del notebook.cells[2]
    assert tidy(notebook).cells[1].metadata.tags == ["parameters", "keep-me"]


def test_traces_of_papermill_go_and_the_rest_stays(notebook: Any) -> None:
    made = tidy(notebook)
    assert "papermill" not in nbformat.writes(made)
    assert "someone" not in nbformat.writes(made)
    assert "widgets" in made.metadata
    assert "tags" not in made.cells[0].metadata
    last = made.cells[3]
    assert last.metadata == {"tags": ["hide-input"], "mystnb": {"figure": {"name": "a"}}}
    assert last.execution_count == 3
    assert [output.get("name") for output in last.outputs] == ["stdout", None]  # no stderr


def test_twice_is_once(notebook: Any) -> None:
    once = nbformat.writes(tidy(notebook))
    assert nbformat.writes(tidy(notebook)) == once
    nbformat.validate(notebook)
