from collections.abc import Mapping

import matplotlib as mpl
import pytest

from seethrough.plots import death_predictions
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult

mpl.use("Agg")

SHARES = {"dsprites": 0.25, "dsprites_rgb": 0.5, "shapes3d": 0.75}


def run(shares: Mapping[str, float]) -> StudyResult:
    """Two seeds of these dead shares, a quarter of them by ReLU; 0.25 and 0.125 predicted."""
    rows = [
        Row(f"{name}/{dataset}/top_k/beside/500", name, {}, "fraction", (value, value))
        for dataset, dead in shares.items()
        for name, value in {
            "dead_share": dead,
            "dead_share_by_relu": 0.25 * dead,
            "dead_share_by_top_k": 0.75 * dead,
            "predicted_dead": 0.25,
            "predicted_dead_by_relu": 0.125,
            "gamma": 1.5,
            "participation": 4.0,
            "used_inputs": 0.5,
        }.items()
    ]
    provenance = Provenance(
        parameters={"n_train": 64, "epochs": 3}, seeds=(0, 1), profile="custom", device="cpu",
        threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("collapse_complexity", tuple(rows), (), provenance)


@pytest.mark.parametrize(
    ("panel", "points"),
    [
        (0, [(0.25, 0.25), (0.25, 0.5), (0.25, 0.75)]),
        (1, [(0.125, 0.0625), (0.125, 0.125), (0.125, 0.1875)]),
        (2, [(4, 0), (4, 0.25), (4, 0.5)]),
    ],
)
def test_every_cell_is_a_point(panel: int, points: list[tuple[float, float]]) -> None:
    axes = death_predictions.predictions({"this run": run(SHARES)}).axes[panel]
    drawn = [
        (line.get_xdata()[0], line.get_ydata()[0])
        for line in axes.lines
        if line.get_marker() == "o"
    ]
    assert drawn == points


def test_the_identity_is_drawn_in_both_scatter_plots() -> None:
    total, relu, _ = death_predictions.predictions({"this run": run(SHARES)}).axes
    for axes in (total, relu):
        (line,) = [line for line in axes.lines if line.get_label() == "as predicted"]
        assert list(line.get_xdata()) == list(line.get_ydata()) == [0, 1]


def test_the_reference_is_filled_and_keeps_a_data_sets_colour() -> None:
    runs = {"reference run": run(SHARES), "this run": run(SHARES)}
    total = death_predictions.predictions(runs).axes[0]
    first, second = [line for line in total.lines if line.get_label() == "Shapes3D"]
    assert first.get_color() == second.get_color()
    assert (first.get_markerfacecolor(), second.get_markerfacecolor()) == (
        first.get_color(), "white"
    )  # fmt: skip


def test_the_table_has_one_line_per_run_and_rung() -> None:
    runs = {"reference run": run({"shapes3d": 0.75}), "this run": run(SHARES)}
    lines = death_predictions.ladder_table(runs, "beside", 500).data.splitlines()
    heads = [line.split(" | ")[:2] for line in lines[2:]]
    assert heads == [
        ["| Shapes3D, Top-k", "reference run"],
        ["| dSprites, Top-k", "this run"],
        ["| dSprites in RGB, Top-k", "this run"],
        ["| Shapes3D, Top-k", "this run"],
    ]
    # 75 %, of it 0.25 x 75 = 19 by ReLU, 56 by Top-k.
    space = "\N{NARROW NO-BREAK SPACE}"
    assert f"| 75{space}% (75 to 75) | 19{space}% (19 to 19) | 56{space}% (56 to 56) |" in lines[2]
    assert "| 1.50 (1.50 to 1.50) | 4.0 (4.0 to 4.0) |" in lines[2]
