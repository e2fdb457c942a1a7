import math
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import pytest

from seethrough.data import catalogue
from seethrough.plots import complexity
from seethrough.plots.style import PAPER, use_style
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult
from seethrough.studies.dead_steps import STEPS

mpl.use("Agg")
use_style()

WHERE = "top_k/beside/500"
SHARES = {"dsprites": (0.1, 0.3), "dsprites_rgb": (0.4, 0.4), "shapes3d": (0.5, 0.7)}


def run(shares: Mapping[str, Sequence[float]], where: str = WHERE) -> StudyResult:
    """A run with these dead shares per seed, a quarter of them by ReLU."""
    rows = []
    for dataset, dead in shares.items():
        n = len(dead)
        values = {
            "dead_share": dead,
            "dead_share_by_relu": [0.25 * d for d in dead],
            "dead_share_by_top_k": [0.75 * d for d in dead],
            "dead_ceiling": [0.9] * n,
        }
        rows += [
            Row(f"{name}/{dataset}/{where}", name, {}, "fraction", tuple(v))
            for name, v in values.items()
        ]
    for step, (before, after) in STEPS.items():
        if {before, after} <= shares.keys():
            pairs = list(zip(shares[before], shares[after], strict=True))
            ratio = tuple(b / a if a else math.nan for a, b in pairs)
            rows.append(Row(f"dead_ratio/{step}/{where}", "ratio", {}, "1", ratio))
            gain = tuple(b - a for a, b in pairs)
            rows.append(Row(f"dead_step/{step}/{where}", "difference", {}, "fraction", gain))
    provenance = Provenance(
        parameters={"n_train": 64, "epochs": 3}, seeds=(0, 1), profile="custom", device="cpu",
        threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("collapse_complexity", tuple(rows), (), provenance)


def test_every_step_and_every_rung_has_words() -> None:
    assert complexity.CHANGES.keys() == STEPS.keys()
    assert sorted(complexity.RUNGS) == sorted(catalogue.NAMES)


def test_bars_are_split_by_cause() -> None:
    figure = complexity.ladder({"this run": run(SHARES)}, "top_k", "beside", 500)
    left, _ = figure.axes
    bars = [(bar.get_x(), bar.get_width()) for bar in left.patches]
    # Means 0.2, 0.4 and 0.6, in the order of the ladder.
    assert bars == [
        pytest.approx(bar)
        for bar in ((0, 0.05), (0.05, 0.15), (0, 0.1), (0.1, 0.3), (0, 0.15), (0.15, 0.45))
    ]
    words = [label.get_text() for label in left.get_yticklabels()]
    assert words == ["dSprites", "dSprites in RGB", "Shapes3D"]


def test_arrows_lead_from_the_rung_before_to_the_one_after() -> None:
    figure = complexity.ladder({"this run": run(SHARES)}, "top_k", "beside", 500)
    _, right = figure.axes
    arrows = [(t.xyann[1], t.xy[1]) for t in right.texts if hasattr(t, "xyann")]
    assert arrows == [(0, 1), (0, 2)]  # three channels; all
    labels = [text.get_text() for text in right.texts if text.get_text()]
    assert labels == ["three channels\n+20 points", "all\n+40 points"]


def test_a_run_without_the_method_has_no_panels() -> None:
    runs = {"reference run": run(SHARES, "l1/beside/500"), "this run": run(SHARES)}
    figure = complexity.ladder(runs, "top_k", "beside", 500)
    assert len(figure.axes) == 2
    assert figure.axes[0].get_title(loc="left").startswith("this run\n64 images")


def test_steps_have_ratio_and_difference_and_reference_is_filled() -> None:
    runs = {"reference run": run({**SHARES, "dsprites": (0.0, 0.3)}), "this run": run(SHARES)}
    left, right = complexity.steps(runs, "beside", 500).axes
    name = "Top-k, this run"
    # Ratios 0.4 / 0.1 and 0.4 / 0.3: mean 2.67; 0.5 / 0.1 and 0.7 / 0.3: mean 3.67.
    drawn = [line.get_xdata()[0] for line in left.lines if line.get_label() == name]
    assert drawn == [pytest.approx(8 / 3), pytest.approx(11 / 3)]
    drawn = [line.get_xdata()[0] for line in right.lines if line.get_label() == name]
    assert drawn == [pytest.approx(0.2), pytest.approx(0.4)]
    labels = [line.get_label() for line in left.lines]
    assert "Top-k, reference run" not in labels, "a share of 0 gives no ratio"
    faces = {str(line.get_label()): line.get_markerfacecolor() for line in right.lines}
    assert faces[name] == "white" != faces["Top-k, reference run"]


@pytest.mark.parametrize(
    ("datasets", "marked"),
    [(("dsprites", "dsprites_rgb", "shapes3d"), [1.8, 2.2]), (("dsprites", "dsprites_rgb"), [])],
)
def test_the_papers_ratios_are_marked_for_the_whole_way(
    datasets: tuple[str, ...], marked: list[float]
) -> None:
    shares = {name: SHARES[name] for name in datasets}
    left, _ = complexity.steps({"this run": run(shares)}, "beside", 500).axes
    green = [line.get_xdata()[0] for line in left.lines if line.get_color() == PAPER]
    assert green == marked
    assert len(left.get_yticks()) == len(marked) // 2 + 1, "a step that no run has is left out"


def test_the_table_of_steps_worked_by_hand() -> None:
    # 0.3 / 0.2 = 1.5 and 0.3 - 0.2 = 10 points, in both seeds; the other run has another step.
    runs = {
        "reference run": run({"shapes3d_grey": (0.2, 0.2), "shapes3d": (0.2, 0.2)}),
        "this run": run({"dsprites": (0.2, 0.2), "shapes3d": (0.3, 0.3)}),
    }
    header, _, colour, whole = complexity.steps_table(runs, "beside", 500).data.splitlines()
    assert header.endswith("| this run: ratio | this run: difference |")
    space = "\N{NARROW NO-BREAK SPACE}"
    nothing = f"1.00 (1.00 to 1.00) | 0{space}points (0 to 0)"
    assert colour == f"| the room in colour | Top-k | – | {nothing} | – | – |"
    assert whole == (
        "| everything at once | Top-k | 1.8 | – | – | 1.50 (1.50 to 1.50) "
        f"| +10{space}points (+10 to +10) |"
    )


def test_ratios_of_every_place_of_every_run() -> None:
    runs = {"reference run": run(SHARES, "l1/in_path/40"), "this run": run(SHARES)}
    header, _, *lines = complexity.ratios_table(runs).data.splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines]
    # ratios 0.5 / 0.1 and 0.7 / 0.3, mean 3.67; both differences 40 points
    assert [line[:2] for line in cells] == [
        ["L1, in the path, 40 units", "2.2"],
        ["Top-k, beside, 500 units", "1.8"],
    ]
    assert cells[0][2].startswith("3.67 (")
    assert cells[0][3].startswith("+40")
    assert cells[0][4:] == ["–", "–"]
    assert cells[1][2:4] == ["–", "–"]
    assert header.count("|") == lines[0].count("|")


def test_no_run_with_both_data_sets_has_no_ratios() -> None:
    runs = {"this run": run({"dsprites": (0.1, 0.2)})}
    assert len(complexity.ratios_table(runs).data.splitlines()) == 2
    assert len(complexity.ratios_table({}).data.splitlines()) == 2
