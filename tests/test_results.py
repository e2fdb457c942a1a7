"""Results: intervals, reading back, and files that are refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seethrough.provenance import Provenance
from seethrough.results import ResultError, Row, Series, StudyResult

CELL: dict[str, str | int | float] = {"position": "beside", "width": 500}
PROVENANCE = Provenance(
    parameters={"width": 500, "seeds": [0, 1, 2]},
    seeds=(0, 1, 2),
    profile="custom",
    device="cpu",
    threads=2,
    versions={"python": "3.11.7"},
    git_commit=None,
    git_dirty=False,
    seconds=1.5,
)


def row(*values: float, name: str = "dead_share/beside/500") -> Row:
    return Row(name, "dead units", CELL, "fraction", values)


def curve(*per_seed: tuple[float, ...], name: str = "dead_share/beside/500") -> Series:
    return Series(name, "dead units", CELL, "fraction", "epoch", (1.0, 2.0), per_seed)


def result(rows: tuple[Row, ...] = (), series: tuple[Series, ...] = ()) -> StudyResult:
    return StudyResult("collapse", rows, series, PROVENANCE)


def test_row_worked_example() -> None:
    # Mean of 1, 2, 6 is 3; deviations -2, -1, 3; sd = sqrt((4 + 1 + 9) / 2) = sqrt(7).
    # Student's t with 2 degrees of freedom at 97.5 % is 4.302653; half-width 4.302653 sqrt(7/3).
    entry = row(1.0, 2.0, 6.0)
    assert entry.n == 3
    assert entry.mean == pytest.approx(3.0)
    assert entry.sd == pytest.approx(math.sqrt(7))
    assert entry.low == pytest.approx(3 - 4.302653 * math.sqrt(7 / 3), rel=1e-6)
    assert entry.high == pytest.approx(3 + 4.302653 * math.sqrt(7 / 3), rel=1e-6)


def test_one_seed_has_no_interval() -> None:
    entry = row(0.5)
    assert (entry.n, entry.mean, entry.sd, entry.low, entry.high) == (1, 0.5, None, None, None)
    one = curve((0.1, 0.2))
    assert (one.mean, one.low, one.high) == ((0.1, 0.2), (None, None), (None, None))


def test_a_nan_among_the_seeds_gives_no_interval() -> None:
    entry = row(1.0, math.nan)
    assert math.isnan(entry.mean)
    assert (entry.sd, entry.low, entry.high) == (None, None, None)


def test_series_is_a_row_at_every_point() -> None:
    both = curve((1.0, 5.0), (2.0, 7.0), (6.0, 6.0))
    for i, values in enumerate([(1.0, 2.0, 6.0), (5.0, 7.0, 6.0)]):
        expected = row(*values)
        assert (both.mean[i], both.low[i], both.high[i]) == (
            expected.mean,
            expected.low,
            expected.high,
        )


@pytest.mark.parametrize("values", [(), (math.inf,), (1.0, -math.inf)])
def test_rows_without_values_or_with_infinity_are_refused(values: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="one or more, finite or NaN"):
        row(*values)


@pytest.mark.parametrize("per_seed", [(), ((1.0,),), ((1.0, 2.0), (1.0, 2.0, 3.0))])
def test_curves_of_the_wrong_length_are_refused(per_seed: tuple[tuple[float, ...], ...]) -> None:
    with pytest.raises(ValueError, match="allowed are one or more of 2"):
        curve(*per_seed)


def test_double_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="ids a stand twice"):
        result((row(1.0, name="a"), row(2.0, name="a")))


def test_lookup_names_what_is_near() -> None:
    made = result((row(1.0), row(2.0, name="mig/beside/500")), (curve((1.0, 2.0)),))
    assert made.row("mig/beside/500").mean == 2.0
    assert made.one_series("dead_share/beside/500").mean == (1.0, 2.0)
    with pytest.raises(KeyError, match="no row 'dead_share/beside/50'; near are dead_share/beside"):
        made.row("dead_share/beside/50")
    with pytest.raises(KeyError, match="no series 'x'; near are none"):
        made.one_series("x")


def test_file_reads_back(tmp_path: Path) -> None:
    made = result((row(0.1, 0.2, 0.4), row(0.5, name="b")), (curve((1.0, 2.0), (0.1, 1 / 3)),))
    made.write(tmp_path / "a" / "result.json")
    assert StudyResult.read(tmp_path / "a" / "result.json") == made


def test_nan_is_null_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result((row(1.0, math.nan),)).write(path)
    assert json.loads(path.read_text())["rows"][0]["per_seed"] == [1.0, None]
    read = StudyResult.read(path).rows[0]
    assert read.per_seed[0] == 1.0
    assert math.isnan(read.per_seed[1])


def test_the_file_says_what_readers_need(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    result((row(1.0, 3.0),)).write(path)
    content = json.loads(path.read_text())
    assert list(content) == ["schema", "study", "rows", "series", "provenance"]
    assert content["schema"] == 1
    (first,) = content["rows"]
    assert {key: first[key] for key in ("id", "cell", "unit", "n", "mean")} == {
        "id": "dead_share/beside/500",
        "cell": CELL,
        "unit": "fraction",
        "n": 2,
        "mean": 2.0,
    }
    assert content["provenance"]["seeds"] == [0, 1, 2]
    assert content["provenance"]["git_commit"] is None


def change(*path: str | int, to: Any) -> Callable[[Any], None]:
    def edit(content: Any) -> None:
        for key in path[:-1]:
            content = content[key]
        if to is KeyError:
            del content[path[-1]]
        else:
            content[path[-1]] = to

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (change("schema", to=2), "schema is 2, allowed is 1"),
        (change("note", to=""), "has the unknown note"),
        (change("series", to=KeyError), "lacks series"),
        (change("study", to=1), "study is 1, allowed is str"),
        (change("rows", 0, "mean", to=0.3), r"dead_share/beside/500 has mean 0.3, but its seeds"),
        (change("rows", 0, "low", to=None), "has low None"),
        (change("rows", 0, "n", to=4), "has n 4, but its seeds give 3"),
        (change("rows", 0, "per_seed", to=[]), "one or more"),
        (change("rows", 0, "per_seed", 0, to="0.1"), "allowed is int or float"),
        (change("rows", 0, "per_seed", 0, to=True), "allowed is int or float"),
        (change("rows", 0, "cell", "k", to=[1]), "cell is"),
        (change("rows", 0, "unit", to=KeyError), "a row lacks unit"),
        (change("series", 0, "mean", 0, to=9.0), "has mean"),
        (change("series", 0, "low", to=[None]), "has low"),
        (change("series", 0, "x", to=[1.0]), "allowed are one or more of 1"),
        (change("provenance", "seconds", to="1"), "provenance seconds is '1'"),
        (change("provenance", "seeds", to=[0.5]), "provenance seeds is 0.5"),
        (change("provenance", "versions", "torch", to=2), "provenance versions is 2"),
        (change("provenance", "git_dirty", to=0), "git_dirty is 0, allowed is bool"),
        (change("provenance", "host", to="x"), "unknown host"),
    ],
)
def test_edited_files_are_refused(
    tmp_path: Path, edit: Callable[[Any], None], sentence: str
) -> None:
    path = tmp_path / "result.json"
    result((row(0.1, 0.2, 0.4),), (curve((1.0, 2.0), (0.1, 1 / 3)),)).write(path)
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=rf"^result.json: .*{sentence}"):
        StudyResult.read(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": NaN}'])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "result.json").write_text(text)
    with pytest.raises(ResultError, match=r"^result.json: "):
        StudyResult.read(tmp_path / "result.json")


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        StudyResult.read(tmp_path / "result.json")
