from typing import Any

import pytest
import torch

from seethrough.metrics.dead_units import UnitActivity, frequency_below, maximum_below, share
from seethrough.plots import thresholds
from seethrough.results import StudyResult
from seethrough.studies.squeeze import TrainedCell

RULES = ("dead_share", "dead_share_frequency_below_1e-3", "dead_share_max_below_5e-2")
HARD, SOFT, ROOM = (
    "dsprites/top_k/beside/500", "dsprites/l1/beside/500", "shapes3d/top_k/beside/500"
)  # fmt: skip


@pytest.fixture
def result(make_result: Any) -> StudyResult:
    shares = {HARD: (0.2, 0.4, 0.2), SOFT: (0.3, 0.3, 0.3), ROOM: (0.6, 0.6, 0.7)}
    rows = {f"{rule}/{cell}": [x - 0.1, x + 0.1] for cell, found in shares.items()
            for rule, x in zip(RULES, found, strict=True)}  # fmt: skip
    rows |= {f"dead_share_by_relu/{HARD}": [0.1, 0.1], f"tau/{RULES[0]}": [1.0, 1.0],
             f"tau/{RULES[1]}": [1 / 3, 1 / 3], f"tau/{RULES[2]}": [1.0, 1.0]}  # fmt: skip
    made: StudyResult = make_result(rows)
    return made


def test_rules_are_definitions_of_dead_and_not_causes(result: StudyResult) -> None:
    assert thresholds.rules(result, result) == list(RULES)
    assert [thresholds.rule_label(rule) for rule in RULES] == [
        "never active", "on < 0.1 % of images", "maximum < 0.05 of scale"
    ]  # fmt: skip


def test_share_below_is_strict() -> None:
    values = torch.tensor([0.0, 0.0, 0.5, 1.0], dtype=torch.float64)
    at = torch.tensor([0.0, 0.1, 0.5, 0.6, 2.0], dtype=torch.float64)
    assert thresholds.share_below(values, at).tolist() == [0, 0.5, 0.5, 0.75, 1]


def test_curves_pass_through_what_the_rules_count(side: TrainedCell) -> None:
    activity = side.layers[0].history.activity(-1)
    for threshold in (1e-3, 0.05, 0.3, 0.9):
        at = torch.tensor([threshold], dtype=torch.float64)
        rare = thresholds.share_below(thresholds.firing_frequency(activity), at)
        weak = thresholds.share_below(thresholds.relative_maximum(activity), at)
        assert float(rare) == pytest.approx(share(frequency_below(activity, threshold)))
        assert float(weak) == pytest.approx(share(maximum_below(activity, threshold)))


def test_a_layer_without_live_units_is_all_below() -> None:
    nothing = UnitActivity.none(3).observe(torch.zeros(2, 3), torch.zeros(2, 3))
    assert thresholds.relative_maximum(nothing).tolist() == [0, 0, 0]


def test_cumulative_curves_rise_to_all_units(trained: list[TrainedCell]) -> None:
    figure = thresholds.cumulative(trained, [1e-3, 1e-2], [0.05])
    top, other, bottom, _ = figure.axes
    assert [line.get_label() for line in top.lines[:2]] == [
        "Top-k, beside, 60 units", "L1, beside, 60 units"
    ]  # fmt: skip
    assert other.get_title(loc="left") == "Shapes3D (re-rendered)"
    for axes, marks in ((top, [1e-3, 1e-2]), (bottom, [0.05])):
        curve = list(axes.lines[0].get_ydata())
        assert curve == sorted(curve)
        assert [float(line.get_xdata()[0]) for line in axes.lines[2:]] == marks
    assert list(bottom.lines[0].get_ydata())[-1] == 1


def test_shares_are_drawn_rule_by_rule(result: StudyResult) -> None:
    sprites, rooms = thresholds.shares(result).axes
    (hard,) = [line for line in sprites.lines if line.get_label() == "Top-k, beside, 500 units"]
    assert list(hard.get_xdata()) == pytest.approx([0.2, 0.4, 0.2])
    assert len([line for line in rooms.lines if line.get_marker() == "o"]) == 1
    assert [label.get_text() for label in sprites.get_yticklabels()][0] == "never active"


def test_equal_shares_have_their_mean_rank() -> None:
    # 3 is first; the two 2s are second and third; 1 is last
    assert thresholds.mean_ranks([2.0, 3.0, 1.0, 2.0]) == [2.5, 1, 4, 2.5]


def test_ranking_shows_who_swaps(result: StudyResult) -> None:
    (axes,) = thresholds.ranking(result).axes
    paths = {text.get_text(): list(line.get_ydata())
             for text, line in zip(axes.texts, axes.lines, strict=True)}  # fmt: skip
    assert paths == {
        "dSprites, Top-k": [3, 2, 3], "dSprites, L1": [2, 3, 2], "Shapes3D, Top-k": [1, 1, 1]
    }  # fmt: skip


def test_tau_leaves_the_plain_rule_out(result: StudyResult) -> None:
    lines = thresholds.tau_table(None, result).data.splitlines()
    assert lines[0] == "| Kendall's tau with never active | this run, 3 cells |"
    assert lines[2:] == [
        "| on < 0.1 % of images | 0.33 (0.33 to 0.33) |",
        "| maximum < 0.05 of scale | 1.00 (1.00 to 1.00) |",
    ]


def test_shares_table_has_a_column_per_rule(result: StudyResult, make_result: Any) -> None:
    reference = make_result({f"dead_share/{ROOM}": [0.5]})
    lines = thresholds.shares_table(reference, result).data.splitlines()
    assert lines[2] == "| reference run | Shapes3D, Top-k, beside, 500 units | 50 | – | – |"
    # two seeds 0.1 either side of .2: t(1) = 12.706, sd .1414: half-width 127 points
    assert lines[3] == (
        "| this run | dSprites, Top-k, beside, 500 units | 20 ± 127 | 40 ± 127 | 20 ± 127 |"
    )
