from collections.abc import Mapping

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.neurons.factor_information import FactorInformation
from seethrough.plots import neurons
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import Condition
from seethrough.studies.impact_neurons import READINGS
from seethrough.studies.neuron_rows import METRICS, SELECTIONS

Levels = Mapping[str, float]
LEVELS = {"dense": 5.0, "dense_tuned": 1.0, "wanda/0.5": 2.0, "wanda/0.7": 3.0}


def run(
    levels: Levels = LEVELS,
    blocks: tuple[int, ...] = (1, 3),
    factors: bool = True,
    n_classes: int = 4,
) -> StudyResult:
    """A run of one seed whose numbers are its models' levels, with intervals of half a unit."""
    rows: list[Row] = []
    for name, level in levels.items():
        method, _, sparsity = name.partition("/")
        model = {"model": method, "sparsity": float(sparsity or 0), "structure": "unstructured"}
        for block in blocks:
            values = {
                f"{metric}{end}/{selection}/{block}/{name}": level + shift
                for metric in METRICS
                for selection in SELECTIONS
                for end, shift in (("", 0.0), ("_low", -0.5), ("_high", 0.5))
            }
            for control in ("dense", "dense_tuned"):
                if name not in ("dense", control):
                    for metric in METRICS:
                        place = f"{block}/{name}/{control}"
                        values |= {
                            f"{metric}_change{end}/{place}": level + shift
                            for end, shift in (("", 0), ("_low", -1), ("_high", 1))
                        }
                        values[f"{metric}_margin/{place}"] = 2.0
                        values[f"{metric}_equivalent/{place}"] = -1.0
            if factors:
                values |= {
                    f"{quantity}{suffix}/{reading}/{block}/{name}": level / 10 + shift
                    for quantity in ("factor_best", "factor_gap", "one_factor_units",
                                     *(f"information_{factor}" for factor in FACTOR_NAMES))
                    for suffix, shift in (("", 0.0), ("_shuffled", -0.05))
                    for reading in READINGS
                }  # fmt: skip
            cell = model | {"block": block}
            rows += [Row(id, "", cell, "1", (float(value),)) for id, value in values.items()]
    provenance = Provenance(
        parameters={"n_classes": n_classes}, seeds=(0,), profile="custom", device="cpu", threads=1,
        versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("impact_neurons", tuple(rows), (), provenance)


def lines(figure: Figure, panel: int, label: str) -> list[tuple[list[float], list[float]]]:
    """Points of every line with this label in one panel."""
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in figure.axes[panel].lines
        if line.get_label() == label
    ]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_blocks_of_all_runs() -> None:
    assert neurons.blocks_of(run(blocks=(3, 1)), run(blocks=(11,))) == [1, 3, 11]


def test_a_curve_starts_at_the_dense_model_with_the_same_steps() -> None:
    figure = neurons.metrics_by_sparsity({"this run": run()})
    assert len(figure.axes) == 8  # four metrics, two blocks
    for panel in range(8):
        for label in ("top units", "as many at random", "all units"):
            assert lines(figure, panel, label) == [([0, 0.5, 0.7], [1, 2, 3])]
        (band, *_) = figure.axes[panel].collections
        corners = np.array(band.get_paths()[0].vertices)
        assert {corners[:, 1].min(), corners[:, 1].max()} == {0.5, 3.5}
        diamonds = [line for line in figure.axes[panel].lines if line.get_marker() == "D"]
        marked = [float(line.get_ydata()[0]) for line in diamonds if len(line.get_ydata())]
        assert marked == [5, 5, 5]
    assert words(figure)[-1] == "dense, as released"


def test_another_run_is_a_dotted_line_where_it_has_the_block() -> None:
    other = run({"dense_tuned": 7.0, "wanda/0.3": 8.0}, blocks=(3,))
    figure = neurons.metrics_by_sparsity({"reference run": run(), "this run": other})
    assert lines(figure, 0, "top units, this run") == [([], [])]
    assert lines(figure, 1, "top units, this run") == [([0, 0.3], [7, 8])]


def test_entropy_over_other_numbers_of_classes_is_not_compared() -> None:
    other = run(blocks=(1,), n_classes=20)
    figure = neurons.metrics_by_sparsity({"reference run": run(blocks=(1,)), "this run": other})
    drawn = [len(lines(figure, panel, "top units, this run")) for panel in range(4)]
    assert drawn == [1, 1, 1, 0]


def test_changes_are_drawn_over_their_margin() -> None:
    figure = neurons.changes({"this run": run(blocks=(1,))})
    assert len(figure.axes) == 4
    # Two pruned models at levels 2 and 3 with margin 2, the dense one with steps at 1.
    assert lines(figure, 0, "against dense, same steps") == [([1], [0.85]), ([1.5], [1.85])]
    released = lines(figure, 0, "against dense, as released")
    assert released == [([0.5], [0.15]), ([1], [1.15]), ([1.5], [2.15])]
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert labels[0] == "block 1, dense, same steps"
    low, high = figure.axes[0].get_xlim()
    assert -low == high >= 3


def test_a_change_without_a_margin_is_left_out() -> None:
    whole = run(blocks=(1,))
    rows = [
        Row(row.id, "", row.cell, "1", (float("nan"),)) if "impact_margin" in row.id else row
        for row in whole.rows
    ]
    empty = StudyResult("impact_neurons", tuple(rows), (), whole.provenance)
    figure = neurons.changes({"this run": empty})
    assert lines(figure, 0, "against dense, same steps") == []
    assert len(lines(figure, 1, "against dense, same steps")) == 2


def test_factor_counts_stand_beside_their_controls() -> None:
    figure = neurons.factor_counts({"this run": run()})
    assert len(figure.axes) == 6  # two readings, three quantities
    for panel in range(6):
        for block in ("block 1", "block 3"):
            ((x, y),) = lines(figure, panel, block)
            assert (x, y) == ([0, 0.5, 0.7], pytest.approx([0.1, 0.2, 0.3]))
        dotted = [line for line in figure.axes[panel].lines if line.get_linestyle() == ":"]
        drawn = [list(line.get_ydata()) for line in dotted if len(line.get_ydata())]
        assert drawn == 2 * [pytest.approx([0.05, 0.15, 0.25])]
        assert figure.axes[panel].get_ylim()[0] == 0
    assert words(figure) == ["block 1", "block 3", "dense, as released", "factors shuffled"]


def test_every_factor_has_a_line_dashed_where_classes_do_not_depend_on_it() -> None:
    figure = neurons.information_by_factor({"this run": run()})
    assert len(figure.axes) == 4  # two readings, two blocks
    styles = {
        str(line.get_label()): line.get_linestyle()
        for line in figure.axes[0].lines
        if line.get_label() in [name.replace("_", " ") for name in FACTOR_NAMES]
    }
    assert styles == {
        "floor hue": "--", "wall hue": "--", "object hue": "-", "scale": "-", "shape": "-",
        "orientation": "--",
    }  # fmt: skip


def test_unknown_factors_are_said_to_be_unknown() -> None:
    natural = run(factors=False)
    for draw in (neurons.factor_counts, neurons.information_by_factor):
        (text,) = draw({"this run": natural}).axes[0].texts
        assert text.get_text() == "The factors of these images are not known."
    assert [*neurons.unit_pictures({})] == ["none"]


def test_one_picture_of_the_units_per_model() -> None:
    shares = torch.tensor([[0.4, 0.1, 0, 0, 0, 0], [0.2, 0.3, 0, 0, 0, 0]]).double()
    known = {(reading, block): FactorInformation(normalised=shares)
             for reading in READINGS for block in (1, 3)}  # fmt: skip
    pruned = Condition(method="wanda", sparsity=0.7, recovered=True)
    pictures = neurons.unit_pictures({Condition(method="dense"): known, pruned: known})
    assert [*pictures] == ["dense, as released", "70 % removed"]
    assert all(picture.startswith(PNG_SIGNATURE) for picture in pictures.values())


def test_units_stand_at_their_best_and_second_best_factor() -> None:
    figure, (axes,) = neurons.new_figure()
    shares = torch.tensor([[0.4, 0.1, 0, 0, 0, 0], [0.2, 0.3, 0, 0, 0, 0]]).double()
    neurons._draw_units(axes, FactorInformation(normalised=shares), 0.5)
    drawn = [line.get_xydata().tolist() for line in axes.lines if len(line.get_xydata())]
    assert drawn == [[pytest.approx([0.4, 0.1])], [pytest.approx([0.3, 0.2])]]
