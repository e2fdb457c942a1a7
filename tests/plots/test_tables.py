import math
from functools import partial
from typing import Any

import pytest

from seethrough.plots.tables import (
    cell_names,
    comparison_table,
    difference,
    find_row,
    half_width,
    markdown_table,
    named_runs,
    number,
    parameters_table,
    percent,
    points,
    rows_named,
    scale,
    significant,
    union,
)
from seethrough.results import Row

SPACE = "\N{NARROW NO-BREAK SPACE}"


def row(*values: float) -> Row:
    return Row("a/beside/500", "a", {}, "fraction", values)


def test_percent_worked_by_hand() -> None:
    # mean .3, sd .1, t(2) = 4.303: half-width 4.303 x .1 / sqrt(3) = .2484
    assert percent(row(0.2, 0.3, 0.4)) == f"30{SPACE}% (5 to 55)"
    assert percent(row(0.25)) == f"25{SPACE}% (one seed)"
    assert half_width(row(0.2, 0.3, 0.4)) == "30 ± 25"
    assert half_width(row(0.25), digits=1) == "25.0"


def test_points_carry_their_sign() -> None:
    assert points(row(0.2, 0.3, 0.4)) == f"+30.0{SPACE}points (+5.2 to +54.8)"
    assert points(row(-0.012)) == f"-1.2{SPACE}points (one seed)"
    assert points(row(-0.0001)) == f"0.0{SPACE}points (one seed)"


def test_number_has_no_negative_zero() -> None:
    assert number(row(-0.001, -0.001), 2) == "0.00 (0.00 to 0.00)"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.01234, "0.012"), (0.5, "0.50"), (7.26, "7.3"), (123.4, "123"), (0.0, "0.0")],
)
def test_significant_digits(value: float, text: str) -> None:
    assert significant(row(value), 2) == f"{text} (one seed)"


@pytest.mark.parametrize(
    "write", [percent, points, half_width, partial(number, digits=2), significant]
)
def test_nothing_and_no_number_are_dashes(write: Any) -> None:
    assert write(None) == write(row(1.0, math.nan)) == "–"


def test_table_is_markdown() -> None:
    table = markdown_table(["a", "b"], [["1", "2"]])
    assert table.data == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_rows_are_found_by_quantity_and_cell(make_result: Any) -> None:
    one = make_result({"dead/x/y": [1.0], "dead_by/x/y": [2.0], "dead/z": [3.0]})
    other = make_result({"dead/z": [1.0], "dead/w": [1.0]})
    assert {name: found.mean for name, found in rows_named(one, "dead").items()} == {
        "x/y": 1, "z": 3
    }  # fmt: skip
    assert rows_named(None, "dead") == {}
    assert cell_names(other, one, "dead") == ["z", "w", "x/y"]
    assert union("ab", "ca") == ["a", "b", "c"]
    assert find_row(one, "dead/w") is None
    assert find_row(None, "dead/w") is None


def test_difference_is_taken_seed_by_seed() -> None:
    found = difference(row(1.0, 5.0), row(2.0, 2.0))
    assert found is not None
    assert found.per_seed == (1, -3)
    assert difference(row(1.0), row(2.0, 2.0)) is None
    assert difference(None, row(2.0)) is None


def test_runs_that_are_there(make_result: Any) -> None:
    result = make_result({"a": [1.0]})
    assert named_runs(None, result) == {"this run": result}
    assert list(named_runs(result, result)) == ["reference run", "this run"]


def test_comparison_shows_what_either_run_has(make_result: Any) -> None:
    result = make_result({"dead/x": [0.5], "mig_last/x": [0.25]}, extra_epochs=3)
    reference = make_result({"dead/x": [0.25, 0.25], "only/x": [1.0, 1.0]})
    lines = [
        ("dead/x", "34 %", percent), ("only/x", "?", percent), ("mig_last/x", "!", percent),
        ("neither/x", "", percent),
    ]  # fmt: skip
    table = comparison_table("x", result, reference, lines).data.splitlines()
    assert table[2] == f"| scale | not known | {scale(reference)} | {scale(result)} |"
    assert table[3] == f"| dead | 34 % | 25{SPACE}% (25 to 25) | 50{SPACE}% (one seed) |"
    assert table[4].endswith(f"| 100{SPACE}% (100 to 100) | – |")
    assert table[5].startswith("| mig_last, last epoch | ! | – |")
    assert len(table) == 6


def test_parameters_of_every_run_in_words(make_result: Any) -> None:
    runs = {
        "a": make_result({"dead": [1.0]}, levels=[0.5, 0.7], grid=((1, 2), (3,))),
        "b": make_result({"dead": [1.0, 1.0]}, levels=[0.9], grid=()),
    }
    table = parameters_table(runs, {"epochs": "passes", "levels": "levels", "grid": "grid"})
    assert table.data.splitlines() == [
        "|  | a | b |", "| --- | --- | --- |", "| passes | 2 | 2 |", "| levels | 0.5, 0.7 | 0.9 |",
        "| grid | 1, 2, 3 |  |", "| seeds | 1 seed | 2 seeds |",
    ]  # fmt: skip


def test_scale_in_words(make_result: Any) -> None:
    assert scale(None) == "–"
    assert scale(make_result({"a": [1.0]})) == "1,000 images, 2 epochs, 1 seed"
    longer = make_result({"a": [1.0, 1.0]}, extra_epochs=3)
    assert scale(longer) == "1,000 images, 2 epochs and 3 more, 2 seeds"
