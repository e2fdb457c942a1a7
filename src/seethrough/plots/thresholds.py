"""Figures and tables of the definitions of dead: what each counts, and how each ranks the cells."""

from collections.abc import Sequence

import torch
from IPython.display import Markdown
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.metrics.dead_units import UnitActivity, layer_scale
from seethrough.plots.labels import (
    METHOD_COLORS,
    POSITION_MARKERS,
    by_dataset,
    cell_labels,
    cell_of,
    cell_text,
    dataset_title,
)
from seethrough.plots.style import DEAD, new_figure, one_legend, percent_axis
from seethrough.plots.tables import (
    find_row,
    half_width,
    markdown_table,
    named_runs,
    number,
    rows_named,
    scale,
    union,
)
from seethrough.results import StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.squeeze import TrainedCell

PLAIN = "dead_share"
_FREQUENCY, _MAXIMUM = "dead_share_frequency_below_", "dead_share_max_below_"


def rules(*runs: StudyResult) -> list[str]:
    """Return the names of all definitions of dead in some runs, the plain one first."""
    names = (row.id.partition("/")[0] for run in runs for row in run.rows)
    return union(n for n in names if n == PLAIN or n.startswith((_FREQUENCY, _MAXIMUM)))


def rule_label(rule: str) -> str:
    """Return a definition in words: a unit is dead if it is so.

    >>> rule_label("dead_share_frequency_below_1e-3")
    'on < 0.1 % of images'
    >>> rule_label("dead_share_max_below_5e-2")
    'maximum < 0.05 of scale'
    """
    if rule.startswith(_FREQUENCY):
        return f"on < {100 * float(rule.removeprefix(_FREQUENCY)):g} % of images"
    if rule.startswith(_MAXIMUM):
        return f"maximum < {float(rule.removeprefix(_MAXIMUM)):g} of scale"
    return "never active"


def cumulative(
    trained: Sequence[TrainedCell], frequencies: Sequence[float], maxima: Sequence[float]
) -> Figure:
    """Draw the share of units below every threshold, on frequency and on the largest activation.

    One column per data set, one line per cell, the units of all seeds pooled; the vertical lines
    are the thresholds given. Axes of thresholds are logarithmic and begin at the smallest one.
    """
    by_name = {one.cell.name: one for one in trained}
    groups = by_dataset(list(by_name))
    figure, _ = new_figure(1, 5.0)
    figure.clear()
    rows = figure.subplots(2, len(groups), squeeze=False, sharex="row", sharey=True)
    for (top, bottom), (dataset, cells) in zip(rows.T, groups.items(), strict=True):
        for cell in cells:
            activities = [layer.history.activity(-1) for layer in by_name[cell.name].layers]
            _draw_below(top, torch.cat([firing_frequency(a) for a in activities]), cell)
            _draw_below(bottom, torch.cat([relative_maximum(a) for a in activities]), cell)
        for axes, marks in ((top, frequencies), (bottom, maxima)):
            for mark in marks:
                axes.axvline(mark, color=DEAD, linewidth=0.6, linestyle=":")
        top.set(title=dataset_title(dataset), xlabel="share of images on which a unit fires")
        bottom.set_xlabel("largest activation over the layer's scale")
    rows[0, 0].set(xscale="log", xlim=(min(frequencies) / 2, 1))
    rows[1, 0].set(xscale="log", xlim=(min(maxima) / 2, 10))
    for axes in rows[:, 0]:
        percent_axis(axes, "share of units below")
    one_legend(figure, columns=3)
    return figure


def firing_frequency(activity: UnitActivity) -> Float64[Tensor, " M"]:
    """Return the share of images on which each unit fires."""
    return activity.fired_count.double() / activity.n_images


def relative_maximum(activity: UnitActivity) -> Float64[Tensor, " M"]:
    """Return each unit's largest activation over the layer's scale, 0 where no unit fires."""
    return (activity.max_activation.double() / layer_scale(activity)).nan_to_num(nan=0.0)


def share_below(
    values: Float64[Tensor, " M"], thresholds: Float64[Tensor, " T"]
) -> Float64[Tensor, " T"]:
    """Return the share of values that are below each threshold.

    >>> share_below(torch.tensor([0.0, 0.0, 0.5, 1.0]).double(), torch.tensor([0.1, 0.6]).double())
    tensor([0.5000, 0.7500], dtype=torch.float64)
    """
    ordered = values.sort().values
    counts = torch.searchsorted(ordered, thresholds)  # how many are strictly below
    return counts.double() / len(values)


def _draw_below(axes: Axes, values: Float64[Tensor, " M"], cell: Cell) -> None:
    at = torch.logspace(-7, 1, 801, dtype=torch.float64)
    style = "-" if cell.position == "beside" else "--"
    axes.plot(
        at.numpy(), share_below(values, at).numpy(), color=METHOD_COLORS[cell.method],
        linestyle=style, alpha=0.5 + 0.5 * (cell.width == 500), linewidth=1.3,
        label=cell_text(cell, with_dataset=False),
    )  # fmt: skip


def shares(result: StudyResult) -> Figure:
    """Draw the share that each definition calls dead, one line per cell, one panel per data set."""
    names = rules(result)
    groups = by_dataset(list(rows_named(result, PLAIN)))
    figure, columns = new_figure(len(groups), 1.2 + 0.28 * len(names))
    for axes, (dataset, cells) in zip(columns, groups.items(), strict=True):
        for cell in cells:
            _draw_shares(axes, result, names, cell)
        axes.set_yticks(range(len(names)), [])
        axes.set(xlabel="share of units called dead", xlim=(0, 1), ylim=(len(names) - 0.5, -0.5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_title(dataset_title(dataset, result))
    columns[0].set_yticks(range(len(names)), [rule_label(name) for name in names])
    figure.suptitle(scale(result), fontsize=9)
    one_legend(figure, columns=3)
    return figure


def _draw_shares(axes: Axes, result: StudyResult, names: Sequence[str], cell: Cell) -> None:
    rows = [result.row(f"{rule}/{cell.name}") for rule in names]
    color = METHOD_COLORS[cell.method]
    for height, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=color, linewidth=4, alpha=0.25)
    axes.plot(
        [row.mean for row in rows], range(len(rows)), color=color, linewidth=0.9,
        linestyle="-" if cell.width == 500 else "--", ms=4.5,
        marker=POSITION_MARKERS[cell.position], label=cell_text(cell, with_dataset=False),
    )  # fmt: skip


def ranking(result: StudyResult) -> Figure:
    """Draw the cells' order under each definition: lines that cross are cells that swap.

    Rank 1 has the largest mean dead share; cells of equal share have their mean rank.
    """
    names = rules(result)
    cells = [cell_of(name) for name in rows_named(result, PLAIN)]
    columns = [
        mean_ranks([result.row(f"{rule}/{cell.name}").mean for cell in cells]) for rule in names
    ]
    figure, (axes,) = new_figure(1, 1.6 + 0.3 * len(cells))
    labels = cell_labels(cells, with_dataset=True)
    for cell, path, label in zip(cells, zip(*columns, strict=True), labels, strict=True):
        axes.plot(
            range(len(names)), path, marker=POSITION_MARKERS[cell.position], ms=6,
            color=METHOD_COLORS[cell.method],
            linestyle="-" if cell.dataset.startswith("dsprites") else "--",
        )  # fmt: skip
        axes.annotate(label, (len(names) - 1, path[-1]), xytext=(8, 0), va="center", fontsize=8,
                      textcoords="offset points", annotation_clip=False)  # fmt: skip
    axes.set_xticks(range(len(names)), map(rule_label, names), rotation=30, ha="right")
    axes.set_yticks(range(1, len(cells) + 1))
    axes.set(ylabel="rank by dead share", ylim=(len(cells) + 0.5, 0.5))
    figure.suptitle(scale(result), fontsize=9)
    return figure


def mean_ranks(values: Sequence[float]) -> list[float]:
    """Return each value's rank from the largest, 1, with equal values at their mean rank.

    >>> mean_ranks([0.2, 0.9, 0.2])
    [2.5, 1.0, 2.5]
    """
    return [
        1 + sum(other > value for other in values) + (values.count(value) - 1) / 2
        for value in list(values)
    ]


def shares_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return what every definition calls dead in every cell, per cent, ± half the 95 % interval."""
    runs = named_runs(reference, result)
    names = rules(*runs.values())
    lines = [
        [title, cell_text(cell_of(cell)),
         *(half_width(find_row(run, f"{rule}/{cell}")) for rule in names)]
        for title, run in runs.items()
        for cell in rows_named(run, PLAIN)
    ]  # fmt: skip
    return markdown_table(["run", "cell, per cent", *map(rule_label, names)], lines)


def tau_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return how each definition's ranking of the cells agrees with the plain one's, by run."""
    runs = named_runs(reference, result)
    lines = [
        [rule_label(rule), *(number(find_row(run, f"tau/{rule}"), 2) for run in runs.values())]
        for rule in rules(*runs.values())
        if rule != PLAIN
    ]
    counts = [f"{title}, {len(rows_named(run, PLAIN))} cells" for title, run in runs.items()]
    return markdown_table(["Kendall's tau with never active", *counts], lines)
