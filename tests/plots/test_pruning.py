from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer

from seethrough.metrics.intervals import student_interval
from seethrough.models.accuracy import wilson_interval
from seethrough.plots import pruning
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import Condition
from seethrough.studies.impact_models_and_pruning import model_rows, retention_rows

DENSE, TUNED = Condition(method="dense"), Condition(method="dense_tuned", recovered=True)
Values = Mapping[Condition, Sequence[float]]


def masked(method: str, sparsity: float, **more: Any) -> Condition:
    return Condition(method=method, sparsity=sparsity, **more)


@pytest.fixture
def make(make_result: Any) -> Any:
    """Build a result from the accuracies of conditions, on 100 images."""

    def build(values: Values) -> StudyResult:
        rows = [
            row for c, shares in values.items() for row in model_rows(c, {"top_1": list(shares)})
        ]
        rows += retention_rows(rows, list(values))
        empty = make_result(
            {"x": next(iter(values.values()))}, model="a_model", n_evaluation=100,
            recovery_epochs=2, n_recovery=1234,
        )  # fmt: skip
        return replace(empty, rows=tuple(rows))

    return build


@pytest.fixture
def reference(make: Any) -> StudyResult:
    made: StudyResult = make({
        DENSE: (0.8, 0.8),
        TUNED: (0.7, 0.9),
        masked("wanda", 0.5): (0.6, 0.8),
        masked("wanda", 0.5, recovered=True): (0.7, 0.8),
        masked("wanda", 0.7): (0.2, 0.4),
        masked("wanda", 0.7, recovered=True): (0.5, 0.7),
        masked("magnitude", 0.7): (0.3, 0.3),
        masked("magnitude", 0.7, recovered=True): (0.4, 0.4),
        masked("wanda", 0.5, structure="2:4"): (0.5, 0.6),
    })  # fmt: skip
    return made


@pytest.fixture
def result(make: Any) -> StudyResult:
    made: StudyResult = make({
        DENSE: (0.9,),
        TUNED: (0.95,),
        masked("wanda", 0.8): (0.1,),
        masked("random", 0.8): (0.0,),
    })  # fmt: skip
    return made


def row(*values: float) -> Row:
    return Row("top_1/dense", "", {}, "fraction", values)


def lines(markdown: Any) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.data.splitlines()
    ]


def test_interval_over_seeds_or_over_images() -> None:
    # 0.5 and 0.6: mean 0.55, t(1) = 12.706 times 0.0707 / sqrt(2) = 0.635, cut at 0 and 1.
    assert pruning.interval(row(0.5, 0.6), 100) == (0.0, 1.0)
    three = student_interval([0.5, 0.52, 0.54])
    assert pruning.interval(row(0.5, 0.52, 0.54), 100) == (three.low, three.high)
    share = wilson_interval(80, 100)
    assert pruning.interval(row(0.8), 100) == (share.low, share.high)
    assert pruning.interval(row(0.8, 0.8), 100) == (share.low, share.high)


def bars(axes: Any) -> dict[tuple[str, str], ErrorbarContainer]:
    return {
        (c.get_label(), to_hex(c.lines[0].get_markerfacecolor())): c
        for c in axes.containers
        if isinstance(c, ErrorbarContainer)
    }


def test_one_line_per_pruner_and_panel(reference: StudyResult, result: StudyResult) -> None:
    before, after = pruning.accuracy_by_sparsity(reference, result).axes
    wanda, orange, white = pruning.PRUNER_COLORS["wanda"].lower(), "#d55e00", "#ffffff"
    found = bars(before)
    assert found.keys() == {
        ("Wanda", wanda), ("Wanda 2:4", wanda), ("magnitude", orange),
        ("Wanda", white), ("random", white),
    }  # fmt: skip
    line = found["Wanda", wanda].lines[0]
    assert list(line.get_xdata()) == [0.5, 0.7]
    assert list(line.get_ydata()) == pytest.approx([0.7, 0.3])
    assert list(found["Wanda 2:4", wanda].lines[0].get_ydata()) == pytest.approx([0.55])
    assert bars(after).keys() == {("Wanda", wanda), ("magnitude", orange)}
    assert list(bars(after)["Wanda", wanda].lines[0].get_ydata()) == pytest.approx([0.75, 0.6])


def test_error_bars_are_the_intervals(result: StudyResult) -> None:
    before, _ = pruning.accuracy_by_sparsity(None, result).axes
    (segment,) = bars(before)["Wanda", "#ffffff"].lines[2][0].get_segments()
    share = wilson_interval(10, 100)
    assert segment[:, 1] == pytest.approx([share.low, share.high])


def test_levels_are_those_of_the_reference_where_there_is_one(
    reference: StudyResult, result: StudyResult
) -> None:
    for run, other, expected in ((None, result, [0.9, 0.95]), (reference, result, [0.8, 0.8])):
        for axes in pruning.accuracy_by_sparsity(run, other).axes:
            levels = [x for x in axes.lines if x.get_label() in ("dense", "dense, same steps")]
            assert [x.get_ydata()[0] for x in levels] == pytest.approx(expected)


def test_the_paper_stands_beside_both_runs(reference: StudyResult, result: StudyResult) -> None:
    header, _, *body = lines(pruning.headline_table(reference, result))
    assert header == ["", "paper, second-hand", "reference run", "this run"]
    assert body[0] == ["model", "DeiT-III B/16", "`a_model`", "`a_model`"]
    assert body[1][2:] == ["2 epochs of 1,234 images"] * 2
    assert body[2][2:] == ["100 images, 2 seeds", "100 images, 1 seed"]
    table = {line[0]: line[1:] for line in body[3:]}
    assert table["dense"] == ["83.71 %", "80.0 % (71.1 to 86.7)", "90.0 % (82.6 to 94.5)"]
    assert table["Wanda at 70 %, recovered"][::2] == ["80.44 %", "–"]
    assert table["Wanda at 70 %, no recovery"][0] == "not given"
    # 0.5 / 0.8 and 0.7 / 0.8: mean 0.75
    assert table["recovered over dense"][0] == "96 %"
    assert table["recovered over dense"][1].startswith("75.0\N{NARROW NO-BREAK SPACE}% (")


def test_rows_that_no_run_has_are_left_out(result: StudyResult) -> None:
    body = lines(pruning.headline_table(None, result))[5:]
    assert [line[0] for line in body] == ["dense", "dense, with the recovery's steps"]


def test_the_dense_control_comes_first(reference: StudyResult, result: StudyResult) -> None:
    _, _, *body = lines(pruning.recovery_table(reference, result))
    assert [line[:2] for line in body] == [
        ["dense", "reference run"], ["dense", "this run"], ["Wanda, 50 %", "reference run"],
        ["Wanda, 70 %", "reference run"], ["magnitude, 70 %", "reference run"],
        ["Wanda, 2:4", "reference run"], ["Wanda, 80 %", "this run"], ["random, 80 %", "this run"],
    ]  # fmt: skip
    space = "\N{NARROW NO-BREAK SPACE}"
    assert body[1][4:] == [f"+5.0{space}points (one seed)", "–", "–"]  # 0.95 - 0.9
    # 0.5 - 0.2 and 0.7 - 0.4; 0.5 / 0.7 and 0.7 / 0.9: mean 0.746
    assert body[3][4] == f"+30.0{space}points (+30.0 to +30.0)"
    assert body[3][6].startswith(f"74.6{space}% (")
    assert body[5][3:] == ["–"] * 4
    assert body[7][2] == "0.0 % (0.0 to 3.7)"


def test_wanda_against_the_others_at_the_same_sparsity(
    reference: StudyResult, result: StudyResult
) -> None:
    _, _, *body = lines(pruning.against_wanda_table(reference, result))
    assert [line[:2] for line in body] == [
        ["magnitude, 70 %", "reference run"], ["random, 80 %", "this run"],
    ]  # fmt: skip
    assert body[0][2].startswith("0.0")  # 0.2 - 0.3 and 0.4 - 0.3
    assert body[0][3].startswith("+20.0")  # 0.5 - 0.4 and 0.7 - 0.4
    assert body[1][2].startswith("+10.0")
    assert body[1][3] == "–"
