"""Which notebooks run with which parameters."""

import json
from pathlib import Path

import pytest

from seethrough.book.runs import check_profile, notebook_runs
from seethrough.parameters import ParameterError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "params").mkdir()
    for name in ("b", "a"):
        (tmp_path / "notebooks" / f"{name}.ipynb").write_text("{}")
    (tmp_path / "params" / "quick.yml").write_text(
        "a: {width: 3, beta: 0.5}\nb: {threads: 2, workers: 2, device: 'cuda:1'}\nno_notebook: {}\n"
    )
    return tmp_path


def test_every_notebook_runs_with_its_parameters(root: Path) -> None:
    runs = notebook_runs("quick", root)
    assert list(runs) == ["a", "b"]
    assert json.loads(runs["a"].parameters) == {"beta": 0.5, "width": 3}
    assert (runs["a"].threads, runs["a"].gpus) == (1, 0)
    assert (runs["b"].threads, runs["b"].gpus) == (2, 1)


def test_the_order_in_the_file_does_not_matter(root: Path) -> None:
    before = notebook_runs("quick", root)["a"]
    path = root / "params" / "quick.yml"
    path.write_text(path.read_text().replace("width: 3, beta: 0.5", "beta: 0.5, width: 3"))
    assert notebook_runs("quick", root)["a"] == before


def test_a_notebook_without_parameters_is_refused(root: Path) -> None:
    (root / "notebooks" / "c.ipynb").write_text("{}")
    with pytest.raises(ParameterError, match=r"params/quick.yml has no parameters for notebooks/c"):
        notebook_runs("quick", root)


def test_parameters_without_a_study_are_refused(root: Path) -> None:
    with pytest.raises(ParameterError, match=r"^params/quick.yml, a: study 'a' is unknown"):
        check_profile("quick", root)
