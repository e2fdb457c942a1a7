"""The source notebooks are thin, their figures described, and params/ knows every study."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from seethrough import parameters, studies

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


@pytest.mark.parametrize("profile", parameters.PROFILES)
def test_every_study_has_every_scale(profile: str) -> None:
    loaded = parameters.load_profile(profile)
    assert set(loaded) == set(studies.STUDIES)
    for name, values in loaded.items():
        cls = studies.get(name).load().Parameters
        assert set(values) == set(parameters.plain(cls()))
        assert parameters.profile_of(name, parameters.build(cls, values)) == profile


@pytest.mark.parametrize("tier", parameters.TIERS)
def test_a_tier_has_whole_parameters_of_some_studies(tier: str) -> None:
    loaded = parameters.load_profile(tier)
    assert set(loaded) < set(studies.STUDIES)
    for name, values in loaded.items():
        cls = studies.get(name).load().Parameters
        assert set(values) == set(parameters.plain(cls()))
        assert parameters.profile_of(name, parameters.build(cls, values)) == tier


@pytest.mark.parametrize("name", studies.STUDIES)
def test_a_studys_own_defaults_are_the_smoke_scale(name: str) -> None:
    cls = studies.get(name).load().Parameters
    assert cls() == parameters.build(cls, parameters.load("smoke", name))


@each_notebook
def test_logic_stays_in_the_package(path: Path) -> None:
    for cell in code_cells(path):
        source = "".join(cell["source"])
        if "parameters" not in cell["metadata"].get("tags", []):  # one line for each is enough
            assert len(source.splitlines()) <= 20
        kinds = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While)
        assert not any(isinstance(node, kinds) for node in ast.walk(ast.parse(source)))
        assert "/" not in source.replace("{position}/{width}", ""), "no path"


@each_notebook
def test_figures_have_name_caption_and_alternative_text(path: Path) -> None:
    figures = [c["metadata"]["mystnb"] for c in code_cells(path) if "mystnb" in c["metadata"]]
    assert figures
    assert len({described["figure"]["name"] for described in figures}) == len(figures)
    for described in figures:
        assert len(described["figure"]["caption"]) > 40
        assert len(described["image"]["alt"]) > 40
