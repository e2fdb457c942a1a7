from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from seethrough.checkout import checkout_root
from seethrough.plots import readme_figure
from seethrough.plots.paper_values import PAPER_DEAD
from seethrough.results import StudyResult
from seethrough.studies.reference import reference_result

CELL = "dsprites/top_k/in_path/500"
ROWS = {f"{name}/{CELL}": [0.1, 0.2] for name in readme_figure.SHOWN}


def drawn(result: StudyResult, monkeypatch: pytest.MonkeyPatch, target: Path) -> bytes:
    monkeypatch.setattr(readme_figure, "reference_result", lambda study: result)
    readme_figure.main(target)
    return target.read_bytes()


def committed() -> StudyResult:
    result = reference_result("collapse_grid")
    assert result is not None
    return result


def test_the_figure_is_drawn_from_the_reference_and_carries_its_digest(
    make_result: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    result, target = make_result(ROWS), tmp_path / "figure.png"
    picture = drawn(result, monkeypatch, target)
    with Image.open(target) as image:
        assert image.format == "PNG"
        assert image.info.keys() == {readme_figure.DIGEST, "dpi"}  # no date, no version
        assert image.info[readme_figure.DIGEST] == readme_figure.digest(result)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    assert drawn(result, monkeypatch, target) == picture


def test_the_digest_is_of_all_that_is_shown_and_nothing_else(
    make_result: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The figure of the shown rows alone is the same picture, byte for byte."""
    result = make_result(ROWS)
    found = {readme_figure.digest(result)}
    for number, row in enumerate(result.rows):
        rows = list(result.rows)
        rows[number] = replace(row, per_seed=(0.1, 0.2 + 1e-12))
        found.add(readme_figure.digest(replace(result, rows=tuple(rows))))
    assert len(found) == 1 + len(readme_figure.SHOWN)
    more = make_result(ROWS | {f"mig_code/{CELL}": [float("nan"), 0.5]})
    assert readme_figure.digest(more) == readme_figure.digest(result)
    target = tmp_path / "figure.png"
    assert drawn(more, monkeypatch, target) == drawn(result, monkeypatch, target)


def test_the_committed_figure_shows_the_committed_run() -> None:
    with Image.open(readme_figure.TARGET) as image:
        shown = image.info.get(readme_figure.DIGEST)
    assert shown == readme_figure.digest(committed()), (
        "book/_static/readme_figure.png is older than results/reference/collapse_grid.json: run "
        "python -m seethrough.plots.readme_figure"
    )


def test_the_readme_says_what_the_figure_shows() -> None:
    root = checkout_root()
    assert root is not None
    text = " ".join((root / "README.md").read_text("utf-8").split())
    assert "on dSprites and on Shapes3D" in text
    assert "from almost none to more than four fifths" in text
    assert "the paper's 34 % and 63 % as bands" in text
    dead = {row.id: row.mean for row in committed().rows if row.id.startswith("dead_share/")}
    assert {id.split("/")[1] for id in dead} == {"dsprites", "shapes3d"}
    assert min(dead.values()) < 0.05
    assert max(dead.values()) > 0.8
    paper = [PAPER_DEAD[dataset, "top_k"][0] for dataset in ("dsprites", "shapes3d")]
    assert [f"{100 * share:.0f}" for share in paper] == ["34", "63"]


def test_without_a_reference_it_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(readme_figure, "reference_result", lambda study: None)
    with pytest.raises(FileNotFoundError, match="run `make reference` first"):
        readme_figure.main(tmp_path / "figure.png")
