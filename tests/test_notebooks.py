"""The source notebooks are thin, typed, and agree with params/."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from seethrough import parameters, studies
from seethrough.book.source_notebook import CHECKED

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PROFILES = ("smoke", "quick", "paper")


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def tagged(path: Path, tag: str) -> list[dict[str, Any]]:
    return [cell for cell in code_cells(path) if tag in cell["metadata"].get("tags", [])]


def defaults(path: Path) -> dict[str, Any]:
    """The parameters cell as a mapping; every line must be `name: type = literal`."""
    (cell,) = tagged(path, "parameters")
    statements = ast.parse("".join(cell["source"])).body
    assert all(isinstance(statement, ast.AnnAssign) for statement in statements)
    return {
        statement.target.id: ast.literal_eval(statement.value)  # type: ignore[attr-defined]
        for statement in statements
    }


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_defaults_are_the_smoke_scale(path: Path) -> None:
    study = studies.get(path.stem).load()
    smoke = parameters.build(study.Parameters, parameters.load("smoke", path.stem))
    assert parameters.build(study.Parameters, defaults(path)) == smoke
    assert set(defaults(path)) == set(parameters.plain(smoke))
    assert study.Parameters() == smoke


@pytest.mark.parametrize("profile", PROFILES)
def test_every_study_has_every_scale(profile: str) -> None:
    loaded = parameters.load_profile(profile)
    assert set(loaded) == set(studies.STUDIES)
    for name, values in loaded.items():
        cls = studies.get(name).load().Parameters
        assert set(values) == set(parameters.plain(cls()))
        built = parameters.build(cls, values)
        assert parameters.profile_of(name, built) == profile


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_stand_in_table_cells_alone(path: Path) -> None:
    for cell in code_cells(path):
        if CHECKED in cell["metadata"].get("tags", []):
            assert [set(output["data"]) for output in cell["outputs"]] == [
                {"text/markdown", "text/plain"}
            ]
        else:
            assert not cell["outputs"]
        assert cell["execution_count"] is None
    assert tagged(path, CHECKED)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_logic_stays_in_the_package(path: Path) -> None:
    for cell in code_cells(path):
        source = "".join(cell["source"])
        assert len(source.splitlines()) <= 20
        kinds = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While)
        assert not any(isinstance(node, kinds) for node in ast.walk(ast.parse(source)))
        assert "/" not in source.replace("{position}/{width}", "")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_figures_have_name_caption_and_alternative_text(path: Path) -> None:
    figures = [c for c in code_cells(path) if "mystnb" in c["metadata"]]
    assert figures
    names = [cell["metadata"]["mystnb"]["figure"]["name"] for cell in figures]
    assert len(set(names)) == len(names)
    for cell in figures:
        described = cell["metadata"]["mystnb"]
        assert len(described["figure"]["caption"]) > 40
        assert len(described["image"]["alt"]) > 40
