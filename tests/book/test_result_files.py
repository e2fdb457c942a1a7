from collections.abc import Callable
from pathlib import Path

import pytest

from seethrough.book.result_files import MissingResult, near, read_result, result_file


def test_this_run_and_the_reference_lie_in_their_folders() -> None:
    root = Path("root")
    assert result_file(root, "this", "a") == root / "book" / "executed" / "results" / "a.json"
    reference = root / "results" / "reference"
    assert result_file(root, "reference", "a") == reference / "a.json"
    assert result_file(root, "natural", "a") == reference / "natural" / "a.json"


def test_an_unknown_source_is_refused() -> None:
    with pytest.raises(ValueError, match="got source 'mine', allowed this, reference, natural"):
        result_file(Path(), "mine", "a")


def test_read_result(tmp_path: Path, write_result: Callable[..., Path]) -> None:
    path = result_file(tmp_path, "reference", "study")
    write_result(path, {"dead/500": ("fraction", (0.1, 0.2))})
    assert read_result(tmp_path, "reference", "study").row("dead/500").per_seed == (0.1, 0.2)


def test_a_missing_file_is_named_with_the_nearest_studies(
    tmp_path: Path, write_result: Callable[..., Path]
) -> None:
    for name in ("collapse_grid", "impact"):
        write_result(result_file(tmp_path, "this", name), {"a": ("fraction", (0.1,))})
    with pytest.raises(MissingResult) as caught:
        read_result(tmp_path, "this", "collapse_gird")
    expected = "no result file book/executed/results/collapse_gird.json for study 'collapse_gird'"
    assert str(caught.value) == f"{expected}; nearest: collapse_grid"


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = result_file(tmp_path, "this", "study")
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 1', encoding="utf-8")
    with pytest.raises(MissingResult, match=r"results/study.json is not a valid result file: "):
        read_result(tmp_path, "this", "study")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["dead/500", "dead/1000", "mig"], "nearest: dead/500"),
        (["z", "y"], "nearest: y, z"),  # none is near: a few of all are named
        ([], "there is none"),
    ],
)
def test_near(known: list[str], expected: str) -> None:
    assert near("dead/50", known).startswith(expected)


def test_a_file_that_changed_is_read_again(
    tmp_path: Path, write_result: Callable[..., Path]
) -> None:
    path = tmp_path / "results" / "reference" / "some.json"
    write_result(path, {"a": ("1", [1.0])})
    assert read_result(tmp_path, "reference", "some").row("a").mean == 1
    assert read_result(tmp_path, "reference", "some") is read_result(tmp_path, "reference", "some")
    write_result(path, {"a": ("1", [20.0])})
    assert read_result(tmp_path, "reference", "some").row("a").mean == 20
