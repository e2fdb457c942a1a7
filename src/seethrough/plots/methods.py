"""Figures and tables of the sparsifiers: Top-k against L1, and the shapes of the squeeze."""

from collections.abc import Sequence
from dataclasses import replace

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.labels import (
    METHOD_COLORS,
    METHODS,
    POSITION_MARKERS,
    POSITIONS,
    by_dataset,
    cell_of,
    cell_text,
    dataset_title,
)
from seethrough.plots.paper_values import paper_dead_text
from seethrough.plots.style import DEAD, draw_curve, new_figure, one_legend, percent_axis
from seethrough.plots.tables import (
    DASH,
    cell_names,
    difference,
    find_row,
    markdown_table,
    named_runs,
    number,
    percent,
    points,
    rows_named,
)
from seethrough.plots.unit_maps import (
    REVIVED,
    as_png,
    draw_key,
    draw_units,
    last_order,
    map_title,
    states,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.squeeze import TrainedCell


def by_epoch(result: StudyResult) -> Figure:
    """Draw active and dead units by epoch, one line per method, one column per data set.

    Where several places or widths were run, the first of them.
    """
    groups = by_dataset(list(rows_named(result, "dead_share")))
    figure, _ = new_figure(1, 4.6)
    figure.clear()
    rows = figure.subplots(2, len(groups), squeeze=False, sharex=True, sharey="row")
    for (top, bottom), (dataset, cells) in zip(rows.T, groups.items(), strict=True):
        for cell in at_first_place(cells):
            style = (METHODS[cell.method], METHOD_COLORS[cell.method])
            draw_curve(top, result.one_series(f"active/{cell.name}"), *style)
            draw_curve(bottom, result.one_series(f"dead_share/{cell.name}"), *style)
        top.set_title(dataset_title(dataset, result))
        bottom.set_xlabel("epoch")
    rows[0, 0].set(ylabel="active units per image", ylim=(0, None))
    percent_axis(rows[1, 0], "share of units dead")
    one_legend(figure)
    return figure


def at_first_place(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells that share position and width with the first."""
    place = (cells[0].position, cells[0].width)
    return [cell for cell in cells if (cell.position, cell.width) == place]


def unexplained_against_dead(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw what each code loses against how many of its units are dead, one mark per seed.

    Filled marks are the reference run, open ones this run. Colours are methods, shapes places.
    """
    groups = by_dataset(cell_names(reference, result, "dead_share"))
    figure, _ = new_figure(1, 3.6)
    figure.clear()
    columns = figure.subplots(1, len(groups), squeeze=False, sharey=True)[0]
    for axes, (dataset, cells) in zip(columns, groups.items(), strict=True):
        for run in named_runs(reference, result).values():
            for cell in cells:
                _draw_seeds(axes, run, cell, filled=run is reference)
        axes.axhline(1, color=DEAD, linewidth=0.8, linestyle=":", label="the mean alone")
        axes.set(xlabel="share of units dead", title=dataset_title(dataset, result))
        axes.set_yscale("log")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    columns[0].set_ylabel("unexplained variance (FVU)")
    one_legend(figure)
    return figure


def _draw_seeds(axes: Axes, run: StudyResult, cell: Cell, filled: bool) -> None:
    dead = find_row(run, f"dead_share/{cell.name}")
    lost = find_row(run, f"unexplained_last/{cell.name}")
    if dead is None or lost is None:
        return
    color = METHOD_COLORS[cell.method]
    axes.plot(
        dead.per_seed, lost.per_seed, POSITION_MARKERS[cell.position], ms=5, mec=color,
        mfc=color if filled else "none",
        label=f"{METHODS[cell.method]}, {POSITIONS[cell.position]}",
    )  # fmt: skip


def cells_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return dead share and active count of every cell, beside the paper's dead share."""
    runs = named_runs(reference, result)
    lines = []
    for name in cell_names(reference, result, "dead_share"):
        cell = cell_of(name)
        shares = [percent(find_row(run, f"dead_share/{name}")) for run in runs.values()]
        counts = [number(find_row(run, f"active_last/{name}"), 0) for run in runs.values()]
        lines.append([cell_text(cell), paper_dead_text(cell), *shares, *counts])
    header = ["cell", "dead: paper", *(f"dead: {title}" for title in runs),
              *(f"active: {title}" for title in runs)]  # fmt: skip
    return markdown_table(header, lines)


def search_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return, for every L1 cell of both runs, how its coefficient was found and what it led to."""
    lines = []
    for title, run in named_runs(reference, result).items():
        for name, coefficient in rows_named(run, "coefficient").items():
            trials = find_row(run, f"search_trials/{name}")
            ended = find_row(run, f"search_active/{name}")
            lines.append([
                title,
                cell_text(cell_of(name)),
                f"{coefficient.mean:.2g}",
                "given, not searched" if trials is None else f"{trials.mean:.0f}",
                DASH if ended is None else f"{ended.mean:.1f}",
                number(run.row(f"active_last/{name}"), 1),
            ])  # fmt: skip
    header = ["run", "cell", "coefficient", "trainings in the search", "active: first seed",
              "active: all seeds"]  # fmt: skip
    return markdown_table(header, lines)


def against_top_k_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return each cell's dead share minus that of Top-k under the linear squeeze, seed by seed."""
    runs = named_runs(reference, result)
    cells = [cell_of(name) for name in cell_names(reference, result, "dead_share")]
    lines = [
        [cell_text(cell), *(points(against_top_k(run, cell)) for run in runs.values())]
        for cell in cells
        if cell.method != "top_k"
    ]
    return markdown_table(["dead share minus that of Top-k, linear", *runs], lines)


def against_top_k(run: StudyResult, cell: Cell) -> Row | None:
    """Return a cell's dead share minus that of linear Top-k at its place, None if one lacks."""
    base = replace(cell, method="top_k")
    return difference(
        find_row(run, f"dead_share/{base.name}"), find_row(run, f"dead_share/{cell.name}")
    )


def first_place(trained: Sequence[TrainedCell]) -> list[TrainedCell]:
    """Return the cells that differ from the first in their method alone."""
    place = replace(trained[0].cell, method="top_k")
    return [one for one in trained if replace(one.cell, method="top_k") == place]


def last_maps(trained: Sequence[TrainedCell]) -> list[bytes]:
    """Return one PNG per cell: every unit of the first seed after the last epoch, as a square.

    Units are ordered by their state in the first cell. All cells need one width.
    """
    order = last_order(trained[0].layers[0])
    pictures = []
    for one in trained:
        layer = one.layers[0]
        figure, (axes,) = new_figure(1, 2.4, 7.0)
        draw_units(axes, states(layer.history.activity(-1))[order])
        axes.set_title(f"{METHODS[one.cell.method]}; {map_title(layer, layer.history.epochs)}")
        draw_key(figure, range(REVIVED))
        pictures.append(as_png(figure))
    return pictures
