"""The sources in notebooks/: what their cells must hold so that everything else can trust them."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from seethrough import studies
from seethrough.checkout import checkout_root
from seethrough.parameters import build, load

ROOT = checkout_root()
assert ROOT is not None
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))["cells"]
    return found


def tags(cell: dict[str, Any]) -> list[str]:
    found: list[str] = cell["metadata"].get("tags", [])
    return found


@each_notebook
def test_the_defaults_are_typed_and_those_of_the_smoke_scale(path: Path) -> None:
    (cell,) = [cell for cell in cells(path) if "parameters" in tags(cell)]
    values = {}
    for statement in ast.parse("".join(cell["source"])).body:
        assert isinstance(statement, ast.AnnAssign), "every parameter has a type"
        assert isinstance(statement.target, ast.Name)
        assert statement.value is not None
        values[statement.target.id] = ast.literal_eval(statement.value)
    cls = studies.get(path.stem).load().Parameters
    assert build(cls, values) == build(cls, load("smoke", path.stem))
    assert values.keys() == load("smoke", path.stem).keys()


@each_notebook
def test_outputs_are_saved_in_checked_cells_alone(path: Path) -> None:
    for cell in cells(path):
        if cell["cell_type"] == "code":
            checked = "nbval-check-output" in tags(cell)
            assert bool(cell["outputs"]) == checked, "".join(cell["source"])[:80]


@each_notebook
def test_some_output_is_checked(path: Path) -> None:
    assert any("nbval-check-output" in tags(cell) for cell in cells(path))


@each_notebook
def test_the_first_line_is_the_title(path: Path) -> None:
    first = cells(path)[0]
    assert first["cell_type"] == "markdown"
    assert "".join(first["source"]).startswith("# ")
