"""Figures and tables of training after the squeeze: who comes back, who dies late."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.typing import LineStyleType

from seethrough.metrics.dead_units import never_active, revived
from seethrough.plots.labels import METHOD_COLORS, by_dataset, cell_of, cell_text, dataset_title
from seethrough.plots.style import DEAD, PAPER, draw_curve, new_figure, one_legend, percent_axis
from seethrough.plots.tables import (
    cell_names,
    markdown_table,
    named_runs,
    percent,
    points,
    rows_named,
    scale,
)
from seethrough.plots.unit_maps import (
    REVIVED,
    STATES,
    States,
    as_png,
    draw_key,
    draw_units,
    map_title,
    spread,
    states,
)
from seethrough.results import Series, StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.trained_layers import TrainedLayer

LINES: tuple[LineStyleType, ...] = ("-", "--", ":", "-.")
"""One line style per place and width, in the order in which they come."""


def squeeze_epochs(result: StudyResult) -> int:
    """Return how many epochs the squeeze of a run lasted."""
    return int(result.provenance.parameters["epochs"])


def dead_by_epoch(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw the dead share by epoch, one row of panels per run and one panel per data set.

    The vertical line is the squeeze's end.
    """
    runs = named_runs(reference, result)
    groups = [by_dataset(list(rows_named(run, "dead_share"))) for run in runs.values()]
    names = cell_names(reference, result, "dead_share")
    places = list(dict.fromkeys(_place(cell_of(name)) for name in names))
    figure, _ = new_figure(1, 0.6 + 2.3 * len(runs))
    figure.clear()
    grid = figure.subplots(len(runs), max(map(len, groups)), squeeze=False)
    for row, (title, run), group in zip(grid, runs.items(), groups, strict=True):
        for axes, (dataset, cells) in zip(row, group.items(), strict=False):
            _draw_cells(axes, run, cells, places)
            axes.set_title(f"{dataset_title(dataset, run)}, {title}")
        for axes in row[len(group) :]:
            axes.set_axis_off()
    one_legend(figure, columns=3)
    return figure


def _place(cell: Cell) -> tuple[str, int]:
    return cell.position, cell.width


def _draw_cells(
    axes: Axes, run: StudyResult, cells: Sequence[Cell], places: Sequence[tuple[str, int]]
) -> None:
    for cell in cells:
        label = cell_text(cell, with_dataset=False)
        curve = run.one_series(f"dead_share/{cell.name}")
        draw_curve(axes, curve, label, METHOD_COLORS[cell.method])
        dashes = LINES[places.index(_place(cell)) % len(LINES)]
        axes.lines[-1].set_linestyle(dashes)
    axes.axvline(squeeze_epochs(run), color=DEAD, linewidth=0.8)
    axes.set_xlabel("epoch")
    percent_axis(axes, "share of units dead")


def newly_dead(dead: Series, back: Series) -> Series:
    """Return the share of units that fired one epoch before and are dead now, by epoch.

    A dead share grows by them and falls by those that came back. The first epoch has none before
    it: 0.
    """
    curves = []
    for shares, returned in zip(dead.per_seed, back.per_seed, strict=True):
        steps = zip(pairwise(shares), returned[1:], strict=True)
        # Shares are rounded: a step of none can come out just below 0.
        curves.append((0.0, *(max(0.0, after - before + b) for (before, after), b in steps)))
    return replace(dead, id=f"newly_{dead.id}", per_seed=tuple(curves))


def turnover(result: StudyResult) -> Figure:
    """Draw units that came back and units that died in each epoch, one panel per cell of a run.

    Thin lines are seeds, thick ones their means. The axis is logarithmic from 0.1 % upwards.
    """
    names = list(rows_named(result, "dead_share"))
    columns = min(2, len(names))
    n_lines = math.ceil(len(names) / columns)
    figure, _ = new_figure(1, 0.6 + 1.9 * n_lines)
    figure.clear()
    grid = figure.subplots(n_lines, columns, squeeze=False, sharex=True, sharey=True)
    for axes, name in zip(grid.flat, names, strict=False):
        back = result.one_series(f"revived/{name}")
        died = newly_dead(result.one_series(f"dead_share/{name}"), back)
        _draw_seeds(axes, died, "newly dead", DEAD)
        _draw_seeds(axes, back, "back again", PAPER)
        axes.axvline(squeeze_epochs(result), color=DEAD, linewidth=0.8)
        axes.set_title(cell_text(cell_of(name)))
    for axes in grid.flat[len(names) :]:
        axes.set_axis_off()
    grid[0, 0].set_yscale("symlog", linthresh=0.001)
    grid[0, 0].set_ylim(0, 1)
    grid[0, 0].yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    for axes in grid[-1]:
        axes.set_xlabel("epoch")
    for axes in grid[:, 0]:
        axes.set_ylabel("units, per epoch")
    figure.suptitle(scale(result), fontsize=9)
    one_legend(figure)
    return figure


def _draw_seeds(axes: Axes, curve: Series, label: str, color: str) -> None:
    for seed in curve.per_seed:
        axes.plot(curve.x, seed, color=color, linewidth=0.6, alpha=0.4)
    axes.plot(curve.x, curve.mean, color=color, label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def shown_epochs(squeeze: int, extra: int, at_most: int) -> list[int]:
    """Return epochs for a slider, about as many in the squeeze as after it.

    The first, the squeeze's end and the last are among them.

    >>> shown_epochs(50, 100, at_most=6)
    [1, 26, 50, 83, 117, 150]
    """
    half = at_most // 2
    steps = min(extra, at_most - half)
    return spread(squeeze, half) + [squeeze + round(i * extra / steps) for i in range(1, steps + 1)]


def unit_maps(layer: TrainedLayer, squeeze: int, epochs: Sequence[int]) -> list[bytes]:
    """Return one PNG per epoch: every unit as a square, those that came back in their own colour.

    Units are ordered by their state at the squeeze's end. A unit came back if it was dead then and
    fires at the epoch shown, which is later.
    """
    order = np.argsort(states(layer.history.activity(squeeze)), kind="stable")
    return [as_png(_map(layer, squeeze, epoch, order)) for epoch in epochs]


def _map(layer: TrainedLayer, squeeze: int, epoch: int, order: States) -> Figure:
    shown = states(layer.history.activity(epoch))
    if epoch > squeeze:
        shown[back_again(layer, squeeze, epoch)] = REVIVED
    figure, (axes,) = new_figure(1, 2.4, 7.0)
    draw_units(axes, shown[order])
    when = "in the squeeze" if epoch <= squeeze else f"{epoch - squeeze} after the squeeze"
    axes.set_title(f"{map_title(layer, epoch)} ({when})")
    draw_key(figure, range(len(STATES)))
    return figure


def back_again(layer: TrainedLayer, squeeze: int, epoch: int) -> npt.NDArray[np.bool_]:
    """Return the mask of units that were dead at the squeeze's end and fire at an epoch."""
    before, after = (never_active(layer.history.activity(e)) for e in (squeeze, epoch))
    return revived(before, after).numpy()


def changes_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return, for every cell of both runs, the dead share at both ends, and who came and went."""
    lines = [
        [
            title,
            cell_text(cell_of(name)),
            percent(run.row(f"dead_share_squeezed/{name}")),
            percent(run.row(f"dead_share/{name}")),
            points(run.row(f"dead_change/{name}")),
            percent(run.row(f"revived_share/{name}"), 1),
            percent(run.row(f"died_share/{name}"), 1),
        ]
        for title, run in named_runs(reference, result).items()
        for name in rows_named(run, "dead_change")
    ]
    header = ["run", "cell", "dead after the squeeze", "dead at the end", "change",
              "came back", "died late"]  # fmt: skip
    return markdown_table(header, lines)
