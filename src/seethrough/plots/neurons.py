"""Figures of neurons against sparsity: four metrics, their changes, and what units know of factors.

Curves run over the models that took the recovery's steps, the dense one among them at sparsity 0.
The diamond at 0 is the dense model as released. Rows are found by the conditions in their cells, so
any blocks and sparsities will do.
"""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.data.shapes3d_classes import CLASS_FACTORS
from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.neurons.factor_information import FactorInformation
from seethrough.plots.sparsity_curves import (
    UNKNOWN_FACTORS,
    Model,
    curve,
    draw_means,
    draw_with_band,
    finish,
    knows_factors,
    models_of,
    n_classes_of,
    note,
)
from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.tables import Runs, find_row, union
from seethrough.plots.unit_maps import as_png
from seethrough.results import StudyResult
from seethrough.studies.impact_models import DENSE, TUNED, Condition
from seethrough.studies.impact_neurons import (
    READINGS,
    SPECIALISED_RATIO,
    SPECIALISED_SHARE,
    Place,
    of_one_factor,
)

METRIC_NAMES = {
    "impact": "ablation impact",
    "selectivity": "selectivity (AUROC)",
    "variance": "class variance",
    "entropy": "label entropy, nats",
}
"""The four metrics as figures and tables write them."""
SELECTION_NAMES = {"top": "top units", "random": "as many at random", "all": "all units"}
READING_NAMES = {"class_token": "class token", "patch_maximum": "largest patch"}
_SELECTION_COLORS = {"top": "#0072B2", "random": "#E69F00", "all": "#999999"}
_BLOCK_COLORS = ("#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#56B4E9")
_FACTOR_COLORS = {
    "floor_hue": "#56B4E9",
    "wall_hue": "#999999",
    "object_hue": "#D55E00",
    "scale": "#009E73",
    "shape": "#0072B2",
    "orientation": "#E69F00",
}
_COUNTS = {
    "factor_best": "best factor, share known",
    "factor_gap": "best minus second",
    "one_factor_units": "units of one factor",
}


def blocks_of(*results: StudyResult) -> list[int]:
    """Return the blocks that any run looked at, in rising order."""
    cells = [row.cell for result in results for row in result.rows]
    return sorted({int(cell["block"]) for cell in cells if "block" in cell})


def metrics_by_sparsity(runs: Runs) -> Figure:
    """Draw the four metrics against sparsity: top units, random ones and all; a column per block.

    Of several runs the first is drawn in full, with bands of 95 % over classes; of the others the
    top units alone, as a dotted line; their entropy only over as many classes, since the number of
    classes sets its level.
    """
    (main, *others) = runs.items()
    blocks = blocks_of(*runs.values())
    figure, _ = new_figure(1, 7.0)
    figure.clear()
    lines = figure.subplots(len(METRIC_NAMES), len(blocks), squeeze=False, sharex=True)
    for line, (metric, label) in zip(lines, METRIC_NAMES.items(), strict=True):
        for axes, block in zip(line, blocks, strict=True):
            for selection, words in SELECTION_NAMES.items():
                color, place = _SELECTION_COLORS[selection], f"{selection}/{block}"
                draw_with_band(axes, main[1], metric, place, words, color)
            for name, other in others:
                if metric == "entropy" and n_classes_of(other) != n_classes_of(main[1]):
                    continue
                x, y = curve(other, f"{metric}/top/{block}")
                axes.plot(x, y, ":", color=DEAD, marker=".", label=f"top units, {name}")
        line[0].set_ylabel(label, fontsize=8)
    for axes, block in zip(lines[0], blocks, strict=True):
        axes.set_title(f"block {block}")
    finish(figure, lines[-1], main[0])
    return figure


def changes(runs: Runs) -> Figure:
    """Draw the change of each metric of the top units over its margin, one panel per metric.

    Of several runs the first. Filled against the dense model with the same steps, open against the
    released one; lines are 90 % intervals over classes. In the grey band a change counts as none.
    """
    name, result = next(iter(runs.items()))
    places = [(block, model) for block in blocks_of(result) for model in models_of(result)
              if model.name != DENSE]  # fmt: skip
    figure, panels = new_figure(len(METRIC_NAMES), 1.3 + 0.19 * len(places))
    for axes, (metric, label) in zip(panels, METRIC_NAMES.items(), strict=True):
        axes.axvspan(-1, 1, color="#DDDDDD", label="counts as none")
        for height, (block, model) in enumerate(places):
            for control, shift in ((TUNED, -0.15), (DENSE, 0.15)):
                _draw_change(
                    axes, result, metric, f"{block}/{model.name}/{control}", height + shift
                )
        axes.set(ylim=(len(places) - 0.4, -0.6), yticks=[], xlabel="change / margin")
        axes.set_xscale("symlog", linthresh=2)
        axes.set_xlim(*(sign * max(3.0, *map(abs, axes.get_xlim())) for sign in (-1.1, 1.1)))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_title(label, fontsize=8)
        axes.grid(False, axis="y")
    panels[0].set_yticks(
        range(len(places)), [f"block {block}, {model.label}" for block, model in places], fontsize=7
    )
    figure.suptitle(name, fontsize=8)
    one_legend(figure)
    return figure


def _draw_change(axes: Axes, result: StudyResult, metric: str, place: str, height: float) -> None:
    margin = find_row(result, f"{metric}_margin/{place}")
    if margin is None or not margin.mean > 0:
        return
    ends = [result.row(f"{metric}_change{end}/{place}").mean for end in ("_low", "", "_high")]
    low, mean, high = (end / margin.mean for end in ends)
    fair = place.endswith(f"/{TUNED}")
    color, fill = ("#0072B2", "#0072B2") if fair else (DEAD, "white")
    axes.plot([low, high], [height, height], color=color, linewidth=1.1)
    label = f"against dense, {'same steps' if fair else 'as released'}"
    axes.plot(mean, height, "o", color=color, mfc=fill, ms=3.5, label=label)


def factor_counts(runs: Runs) -> Figure:
    """Draw what MLP units know of their best factor against sparsity; a line of panels per reading.

    Of several runs the first. One colour per block; dotted: factors shuffled.
    """
    name, result = next(iter(runs.items()))
    if not knows_factors(result):
        return note(UNKNOWN_FACTORS)
    figure, _ = new_figure(1, 4.6)
    figure.clear()
    lines = figure.subplots(len(READINGS), len(_COUNTS), squeeze=False, sharex=True)
    for line, reading in zip(lines, READINGS, strict=True):
        for axes, (count, title) in zip(line, _COUNTS.items(), strict=True):
            for color, block in zip(_BLOCK_COLORS, blocks_of(result), strict=False):
                _draw_with_control(
                    axes, result, count, f"{reading}/{block}", f"block {block}", color
                )
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
            axes.set_title(title if reading == READINGS[0] else "")
        line[0].set_ylabel(READING_NAMES[reading])
    finish(figure, lines[-1], name, "factors shuffled")
    return figure


def information_by_factor(runs: Runs) -> Figure:
    """Draw the mean share of each factor that an MLP unit knows, against sparsity, per block.

    Of several runs the first. Dashed: factors that the classes do not depend on; dotted: shuffled.
    """
    name, result = next(iter(runs.items()))
    if not knows_factors(result):
        return note(UNKNOWN_FACTORS)
    blocks = blocks_of(result)
    figure, _ = new_figure(1, 4.6)
    figure.clear()
    lines = figure.subplots(len(READINGS), len(blocks), squeeze=False, sharex=True)
    for line, reading in zip(lines, READINGS, strict=True):
        for axes, block in zip(line, blocks, strict=True):
            for factor in FACTOR_NAMES:
                _draw_with_control(
                    axes, result, f"information_{factor}", f"{reading}/{block}",
                    factor.replace("_", " "), _FACTOR_COLORS[factor],
                    "-" if factor in CLASS_FACTORS else "--",
                )  # fmt: skip
            axes.set_ylim(bottom=0)
            axes.set_title(f"block {block}" if reading == READINGS[0] else "")
        line[0].set_ylabel(f"{READING_NAMES[reading]}\nshare known", fontsize=8)
    finish(figure, lines[-1], name, "factors shuffled")
    return figure


def _draw_with_control(
    axes: Axes, result: StudyResult, quantity: str, place: str, label: str, color: str,
    line: str = "-",
) -> None:  # fmt: skip
    draw_means(axes, result, f"{quantity}/{place}", label, color, line)
    x, y = curve(result, f"{quantity}_shuffled/{place}")
    axes.plot(x, y, ":", color=color, linewidth=1)


def unit_pictures(
    tables: Mapping[Condition, Mapping[Place, FactorInformation]],
) -> dict[str, bytes]:
    """Return label -> PNG for every model: each MLP unit's best factor against its second best.

    In the grey wedge a unit speaks of one factor. All pictures have the same axes. A sentence
    alone, where factors are not known.
    """
    if not tables:
        return {"none": as_png(note(UNKNOWN_FACTORS))}
    most = max(float(known.best.max()) for found in tables.values() for known in found.values())
    return {
        Model(condition.name, condition.sparsity).label: as_png(_unit_picture(found, 1.05 * most))
        for condition, found in tables.items()
    }


def _unit_picture(found: Mapping[Place, FactorInformation], most: float) -> Figure:
    blocks = union(str(block) for _, block in found)
    figure, _ = new_figure(1, 4.6)
    figure.clear()
    lines = figure.subplots(len(READINGS), len(blocks), squeeze=False, sharex=True, sharey=True)
    for (reading, block), known in found.items():
        axes = lines[READINGS.index(reading), blocks.index(str(block))]
        _draw_units(axes, known, most)
        share = float(of_one_factor(known).double().mean())
        axes.set_title(f"block {block}: {100 * share:.0f} % speak of one", fontsize=8)
        axes.set(xlim=(0, most), ylim=(0, most))
    for line, reading in zip(lines, READINGS, strict=True):
        line[0].set_ylabel(f"{READING_NAMES[reading]}\nsecond best factor", fontsize=8)
    for axes in lines[-1]:
        axes.set_xlabel("best factor, share known")
    one_legend(figure)
    return figure


def _draw_units(axes: Axes, known: FactorInformation, most: float) -> None:
    edge = np.array([SPECIALISED_SHARE, max(most, SPECIALISED_SHARE)])
    axes.fill_between(edge, 0, edge / SPECIALISED_RATIO, color="#EEEEEE", linewidth=0)
    best, second = known.normalised.topk(2, dim=1).values.numpy().T
    for number, factor in enumerate(FACTOR_NAMES):
        some, color = (known.factor == number).numpy(), _FACTOR_COLORS[factor]
        axes.plot(best[some], second[some], "o", ms=2, alpha=0.6, mec="none", color=color)
        # The legend has larger marks than the cloud.
        axes.plot([], [], "o", ms=5, color=color, label=factor.replace("_", " "))
