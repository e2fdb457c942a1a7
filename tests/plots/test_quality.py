from collections.abc import Mapping

import matplotlib as mpl
import pytest
from matplotlib.axes import Axes

from seethrough.plots import quality
from seethrough.provenance import Provenance
from seethrough.results import Row, Series, StudyResult

mpl.use("Agg")

SQUEEZED, OPEN = "dsprites/top_k/beside/10", "dsprites/top_k_open/beside/10"
CURVES = (
    "mig_mean", "mig_mean_shuffled", "mig_code", "mig_code_shuffled", "best_information",
    "best_information_shuffled",
)  # fmt: skip


def run(offsets: Mapping[str, float]) -> StudyResult:
    """A run whose numbers are a known one per quantity, plus an offset per cell and 0.1 a seed."""
    slopes = {f"{q}_{when}" for q in (*CURVES, "reconstruction", "reconstruction_own",
                                      "unexplained") for when in ("first", "last")}  # fmt: skip
    scores = {
        f"{score}_{what}{control}"
        for score in (*quality.SCORES, "probe_chance")
        for what in ("mean", "code")
        for control in ("", "_shuffled", "_random")
    }
    rows = [
        Row(f"{name}/{cell}", name, {}, "1", tuple(base(name) + add + 0.1 * s for s in range(2)))
        for cell, add in offsets.items()
        for name in sorted(slopes | scores)
    ]
    series = [
        Series(f"{name}/{cell}", name, {}, "1", "epoch", (1.0, 3.0), ((0.0, base(name) + add),))
        for cell, add in offsets.items()
        for name in CURVES
    ]
    provenance = Provenance(
        parameters={"n_train": 64, "epochs": 3}, seeds=(0, 1), profile="custom", device="cpu",
        threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("collapse_quality", tuple(rows), tuple(series), provenance)


def base(name: str) -> float:
    """A different number for every name, from 0.1 to 0.4."""
    return 0.1 + sum(map(ord, name)) % 300 / 1000


def ends(axes: Axes) -> dict[str, float]:
    """The last point of every labelled line."""
    return {str(line.get_label()): float(line.get_ydata()[-1]) for line in axes.lines}


def test_pairs_are_found_by_place_and_width() -> None:
    runs = {"reference run": run({"dsprites/top_k/in_path/10": 0.0}), "this run": run({OPEN: 0.0})}
    assert [pair.run for pair in quality.pairs(runs, "in_path", 10)] == ["reference run"]
    assert list(quality.pairs(runs, "beside", 10)) == []


def test_curves_of_squeezed_open_and_shuffled() -> None:
    figure = quality.mig_by_epoch({"this run": run({SQUEEZED: 0.0, OPEN: 0.1})}, "beside", 10)
    for axes, name in zip(figure.axes, CURVES[::2], strict=True):
        assert ends(axes) == pytest.approx({
            "squeezed": base(name),
            "squeezed, factors shuffled": base(f"{name}_shuffled"),
            "no squeeze": base(name) + 0.1,
        })  # fmt: skip
    left, middle, right = figure.axes
    assert left.get_ylim() == middle.get_ylim()
    assert right.get_ylim() == (0, 1)


def test_a_run_without_the_control_has_no_such_curve() -> None:
    figure = quality.mig_by_epoch({"this run": run({SQUEEZED: 0.0})}, "beside", 10)
    assert "no squeeze" not in ends(figure.axes[0])
    assert "through the code, no squeeze" not in ends(
        quality.reconstruction({"this run": run({SQUEEZED: 0.0})}, "beside", 10).axes[0]
    )


def test_every_score_is_a_dot_between_its_controls() -> None:
    runs = {"this run": run({SQUEEZED: 0.0, OPEN: 0.1})}
    mean, code, other = quality.scores(runs, "beside", 10).axes
    for axes, what, add in ((mean, "mean", 0.0), (code, "code", 0.0), (other, "code", 0.1)):
        dots = {
            label: [float(line.get_xdata()[0]) for line in axes.lines if line.get_label() == label]
            for label in ("score", "factors shuffled", "images forgotten unit by unit")
        }
        for label, suffix in zip(dots, ("", "_shuffled", "_random"), strict=True):
            expected = [base(f"{score}_{what}{suffix}") + add + 0.05 for score in quality.SCORES]
            assert dots[label] == pytest.approx(expected)
    assert [label.get_text() for label in mean.get_yticklabels()] == list(quality.SCORES.values())


def test_of_two_runs_the_first_has_its_scores_drawn() -> None:
    runs = {"reference run": run({SQUEEZED: 0.5}), "this run": run({SQUEEZED: 0.0})}
    figure = quality.scores(runs, "beside", 10)
    assert len(figure.axes) == 3
    assert figure.axes[0].get_ylabel() == "dSprites, reference run"
    assert not figure.axes[2].lines


def test_reconstruction_goes_from_first_to_last() -> None:
    figure = quality.reconstruction({"this run": run({SQUEEZED: 0.0, OPEN: 0.1})}, "beside", 10)
    left, middle, _ = figure.axes
    (line,) = [one for one in left.lines if one.get_label() == "through the code, squeezed"]
    points = [base(f"reconstruction_{when}") + 0.05 for when in ("first", "last")]
    assert [float(y) for y in line.get_ydata()] == pytest.approx(points)
    assert "the VAE's own path" in ends(left)
    assert "the VAE's own path" not in ends(middle)
    assert middle.get_yscale() == "log"


def test_the_cost_of_the_code_is_its_error_minus_the_vaes_own() -> None:
    # Cells differ by the same 0.1 in both errors: the cost is equal with and without the squeeze.
    figure = quality.reconstruction({"this run": run({SQUEEZED: 0.0, OPEN: 0.1})}, "beside", 10)
    cost = base("reconstruction_last") - base("reconstruction_own_last")
    for line in figure.axes[2].lines:
        assert [float(y) for y in line.get_ydata()] == pytest.approx([cost, cost])
    alone = quality.reconstruction({"this run": run({SQUEEZED: 0.0})}, "beside", 10)
    assert not alone.axes[2].axison


def test_the_table_subtracts_seed_by_seed() -> None:
    runs = {"this run": run({SQUEEZED: 0.2, OPEN: 0.1})}
    lines = quality.equal_length_table(runs, "beside", 10).data.splitlines()
    assert lines[0] == "| after the last epoch | this run: squeezed | squeezed − not |"
    assert len(lines) == 2 + len(quality.NUMBERS)
    # Seeds differ by 0.1, the cells by 0.1 in each of them: a difference without an interval.
    assert all("| 0.1" in line and line.count("0.10") >= 2 for line in lines[2:] if "best" in line)
    mean = base("mig_mean_last") + 0.25
    assert lines[3].startswith(f"| dSprites: MIG of the latent mean | {mean:.3f} (")
    assert lines[3].endswith("| 0.100 (0.100 to 0.100) |")


def test_the_table_has_dashes_for_what_is_missing() -> None:
    runs = {
        "reference run": run({SQUEEZED: 0.0}),
        "this run": run({SQUEEZED.replace("dsprites", "shapes3d"): 0.0}),
    }
    lines = quality.equal_length_table(runs, "beside", 10).data.splitlines()
    assert len(lines) == 2 + 2 * len(quality.NUMBERS)
    assert lines[2].endswith("| – | – | – |")
    assert lines[-1].split(" | ")[1:3] == ["–", "–"]


def test_path_and_untouched_vae_side_by_side() -> None:
    made = run({SQUEEZED: 0.0, "dsprites/top_k/in_path/10": 0.25})
    header, _, *lines = quality.path_table({"this run": made}, 10).data.splitlines()
    assert len(lines) == len(quality.SCORES)
    cells = lines[0].strip("| ").split(" | ")
    own = base("mig_mean") + 0.05  # the mean of 0 and 0.1 over two seeds
    assert cells[:2] == ["dSprites: MIG", "this run"]
    assert [float(cell.split(" (")[0]) for cell in cells[2:]] == pytest.approx(
        [own, own + 0.25, 0.25, base("mig_mean_shuffled") + 0.05 + 0.25], abs=6e-4
    )
    assert header.count("|") == lines[0].count("|")


def test_without_a_layer_in_the_path_the_table_is_empty() -> None:
    runs = {"this run": run({SQUEEZED: 0.0}), "other": run({"dsprites/top_k/in_path/10": 0.0})}
    assert len(quality.path_table(runs, 10).data.splitlines()) == 2
