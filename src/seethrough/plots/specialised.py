"""Figures and table of specialised units: how many, in what, since when, and what they look like.

Counts are units of one model, means over seeds, unless they are called pooled.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.metrics.specialised_units import SpecialisedUnits, specialised_units
from seethrough.plots.labels import (
    DATASETS,
    METHOD_COLORS,
    METHODS,
    by_dataset,
    cell_labels,
    dataset_title,
)
from seethrough.plots.pictures import picture_grid
from seethrough.plots.style import ALIVE, DEAD, PAPER, draw_curve, new_figure, one_legend
from seethrough.plots.tables import (
    DASH,
    Runs,
    markdown_table,
    number,
    percent,
    rows_named,
    scale,
    union,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.trained_layers import TrainedLayer

REPORTED = {"dsprites": 479, "shapes3d": 86}
"""Specialised units that a post about the paper reports (COL-14); width and pool unknown."""
_PARTS = (
    ("specialised_last", "specialised", ALIVE),
    ("other_units", "live, not specialised", "#BFDFF2"),
    ("dead_units", "dead", "#999999"),
)


def counts(runs: Runs) -> Figure:
    """Draw specialised, other live and dead units of every cell, one panel per run.

    The open diamond is the count against shuffled factors, the green tick the reported one.
    """
    cells = _cells(*runs.values())
    figure, panels = new_figure(len(runs), 1.1 + 0.36 * len(cells))
    for axes, (name, result) in zip(panels, runs.items(), strict=True):
        for height, cell in enumerate(cells):
            if cell in _cells(result):
                _draw_count(axes, result, cell, height)
        axes.set(xlabel="units", xlim=(0, None), ylim=(len(cells) - 0.5, -0.5), yticks=[])
        axes.set_title(f"{name}\n{scale(result)}", fontsize=8)
    panels[0].set_yticks(range(len(cells)), cell_labels(cells, with_dataset=True))
    one_legend(figure)
    return figure


def _cells(*results: StudyResult) -> list[Cell]:
    """Return the cells that any run has, those of one data set together."""
    names = union(*(rows_named(result, "specialised_last") for result in results))
    return [cell for cells in by_dataset(names).values() for cell in cells]


def _draw_count(axes: Axes, result: StudyResult, cell: Cell, height: int) -> None:
    start = 0.0
    for name, label, color in _PARTS:
        length = result.row(f"{name}/{cell.name}").mean
        axes.barh(height, length, 0.6, left=start, color=color, label=label)
        start += length
    row = result.row(f"specialised_last/{cell.name}")
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [height, height], color=DEAD, linewidth=1.2)
    control = result.row(f"specialised_shuffled_last/{cell.name}").mean
    axes.plot(
        control, height, "D", mfc="white", mec=DEAD, ms=5, clip_on=False, zorder=5,
        label="factors shuffled",
    )  # fmt: skip
    reported = reported_count(cell)
    if reported is not None:
        axes.plot(reported, height, "|", color=PAPER, ms=15, mew=2.5, label="reported by a post")


def reported_count(cell: Cell) -> int | None:
    """Return what the post reports for the cell's data set, None for others and without a squeeze.

    Any sparsifier, place and width has the same number, since the post names none of them.
    """
    return None if cell.schedule == "open" else REPORTED.get(cell.dataset)


def by_factor(runs: Runs) -> Figure:
    """Draw which factors the specialised units speak of: cells by factors, per data set and run."""
    groups = by_dataset([cell.name for cell in _cells(*runs.values())])
    heights = [
        max(sum(cell in _cells(result) for cell in cells) for cells in groups.values())
        for result in runs.values()
    ]
    figure, _ = new_figure(1, 0.9 * len(runs) + 0.28 * sum(heights))
    figure.clear()
    panels = figure.subplots(len(runs), len(groups), squeeze=False, height_ratios=heights)
    for line, (name, result) in zip(panels, runs.items(), strict=True):
        before: list[str] = []
        for axes, (dataset, cells) in zip(line, groups.items(), strict=True):
            there = [cell for cell in cells if cell in _cells(result)]
            _draw_factors(axes, result, dataset, there)
            labels = cell_labels(there)
            axes.set_yticks(range(len(labels)), [] if labels == before else labels, fontsize=7)
            axes.set_title(f"{DATASETS[dataset]}, {name}", fontsize=9)
            before = labels
    return figure


def _draw_factors(axes: Axes, result: StudyResult, dataset: str, cells: Sequence[Cell]) -> None:
    axes.grid(False)
    if not cells:
        axes.set_axis_off()
        return
    names = factor_names(result, dataset)
    rows = [[result.row(f"specialised_in_{name}/{cell.name}") for name in names] for cell in cells]
    table = np.array([[row.mean for row in line] for line in rows])
    most = max(1.0, table.max())
    axes.imshow(table, cmap="Blues", vmin=0, vmax=most, aspect="auto")
    for (line, column), value in np.ndenumerate(table):
        color = "white" if value > 0.6 * most else "black"
        axes.text(column, line, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=7)
    axes.tick_params(axis="x", rotation=30)


def factor_names(result: StudyResult, dataset: str) -> list[str]:
    """Return the factors of a data set in its order, from the rows of a run."""
    head = "specialised_in_"
    parts = [row.id.split("/")[:2] for row in result.rows if row.id.startswith(head)]
    return union(name.removeprefix(head) for name, data in parts if data == dataset)


def by_epoch(runs: Runs, position: str, width: int) -> Figure:
    """Draw the count by epoch at one position and width, solid, and its control, dotted.

    One line of panels per run that has such cells, one column per data set.
    """
    found = {
        name: cells
        for name, result in runs.items()
        if (cells := [c for c in _cells(result) if (c.position, c.width) == (position, width)])
    }
    datasets = union(*([cell.dataset for cell in cells] for cells in found.values()))
    figure, _ = new_figure(1, 0.4 + 2.3 * len(found))
    figure.clear()
    panels = figure.subplots(len(found), len(datasets), squeeze=False, sharey="row")
    for line, (name, cells) in zip(panels, found.items(), strict=True):
        for axes, dataset in zip(line, datasets, strict=True):
            _draw_epochs(axes, runs[name], [cell for cell in cells if cell.dataset == dataset])
            axes.set(xlabel="epoch", title=f"{DATASETS[dataset]}, {name}")
        line[0].set(ylabel="specialised units", ylim=(0, max(1.0, line[0].get_ylim()[1])))
    one_legend(figure)
    return figure


def _draw_epochs(axes: Axes, result: StudyResult, cells: Sequence[Cell]) -> None:
    for cell in cells:
        label, color = METHODS[cell.method], METHOD_COLORS[cell.method]
        draw_curve(axes, result.one_series(f"specialised/{cell.name}"), label, color)
        control = result.one_series(f"specialised_shuffled/{cell.name}")
        axes.plot(control.x, control.mean, ":", color=DEAD, label="factors shuffled")


def speakers(layer: TrainedLayer, n_images: int = 8) -> Figure:
    """Draw, per factor, the held-out images that switch one unit on most.

    The unit is the specialised one that knows most about the factor. Where no unit is specialised
    in it, the live unit that knows most stands in, and its label has brackets.
    """
    held = layer.vae.heldout
    code = layer.output.code
    units = specialised_units(code, held.classes)
    pixels = held.pixels(0, len(code))
    rows, labels = [], []
    for factor, name in enumerate(layer.vae.dataset.factor_names):
        unit, own = speaker(units, factor)
        order = code[:, unit].argsort(descending=True, stable=True)
        rows.append(pixels[order[:n_images]])
        labels.append(name if own else f"({name})")
    figure = picture_grid(rows, labels)
    figure.set_figheight(0.2 + 0.75 * len(rows))
    figure.axes[0].set_title(dataset_title(layer.vae.config.dataset), fontsize=9)
    return figure


def speaker(units: SpecialisedUnits, factor: int) -> tuple[int, bool]:
    """Return the unit that knows most about a factor, and whether it is specialised in it.

    Specialised units come first, then live ones; the first of equals.
    """
    own = units.specialised & (units.factor == factor)
    among = own if own.any() else units.alive
    information = units.normalised[:, factor]
    best = information.where(among, information.new_tensor(-1.0)).argmax()
    return int(best), bool(own.any())


def counts_table(runs: Runs) -> Markdown:
    """Return counts, controls, shares and pools of every cell and run, beside the reported count.

    A share has a dash where a model has no live unit.
    """
    header = [
        "cell", "run", "specialised", "factors shuffled", "live", "specialised of live",
        "all seeds together", "factors with one", "reported",
    ]  # fmt: skip
    cells = _cells(*runs.values())
    lines = [
        [label, name, *_counts_line(result, cell)]
        for cell, label in zip(cells, cell_labels(cells, with_dataset=True), strict=True)
        for name, result in runs.items()
        if cell in _cells(result)
    ]
    return markdown_table(header, lines)


def _counts_line(result: StudyResult, cell: Cell) -> list[str]:
    special = result.row(f"specialised_last/{cell.name}")
    live = live_units(result, cell)
    pooled = result.row(f"specialised_pooled/{cell.name}").mean
    covered = number(result.row(f"factors_covered/{cell.name}"), 1)
    return [
        number(special, 0),
        number(result.row(f"specialised_shuffled_last/{cell.name}"), 0),
        number(live, 0),
        percent(share_of_live(special, live)),
        f"{pooled:.0f} of {special.n} × {cell.width}",
        f"{covered} of {len(factor_names(result, cell.dataset))}",
        str(reported_count(cell) or DASH),
    ]


def live_units(result: StudyResult, cell: Cell) -> Row:
    """Return the live units of a cell: specialised and others."""
    special = result.row(f"specialised_last/{cell.name}")
    others = result.row(f"other_units/{cell.name}").per_seed
    pairs = zip(special.per_seed, others, strict=True)
    return replace(special, id=f"live/{cell.name}", per_seed=tuple(a + b for a, b in pairs))


def share_of_live(special: Row, live: Row) -> Row | None:
    """Return the share of live units that are specialised, None where a model has none alive."""
    if 0 in live.per_seed:
        return None
    pairs = zip(special.per_seed, live.per_seed, strict=True)
    return replace(special, unit="fraction", per_seed=tuple(a / b for a, b in pairs))
