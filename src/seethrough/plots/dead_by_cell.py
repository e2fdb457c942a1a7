"""The dead share of many cells, split by cause, beside the paper's value where it has one."""

from itertools import islice

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.labels import by_dataset, cell_labels, dataset_title
from seethrough.plots.paper_values import paper_dead
from seethrough.plots.style import BY_RELU, BY_TOP_K, DEAD, PAPER, new_figure, one_legend
from seethrough.plots.tables import cell_names, find_row
from seethrough.results import StudyResult
from seethrough.studies.cells import Cell


def dead_by_cell(reference: StudyResult | None, result: StudyResult | None) -> Figure:
    """Draw the dead share of every cell of both runs, its causes, and the paper's value.

    One panel per data set. Bars are the reference run; cells that it lacks have pale bars of this
    run. Diamonds are this run, a black tick is the most that k active units allow. Raises
    ValueError if neither run has a cell.
    """
    groups = by_dataset(cell_names(reference, result, "dead_share"))
    if not groups:
        raise ValueError("got no cells, allowed is a run with rows dead_share/...")
    labels = iter(cell_labels([cell for cells in groups.values() for cell in cells]))
    heights = [len(cells) + 1.6 for cells in groups.values()]
    figure, _ = new_figure(1, 0.5 + 0.3 * sum(heights))
    figure.clear()
    column = figure.subplots(len(groups), 1, squeeze=False, height_ratios=heights, sharex=True)
    for axes, (dataset, cells) in zip(column[:, 0], groups.items(), strict=True):
        for height, cell in enumerate(cells):
            _draw_cell(axes, reference, result, cell, height)
        axes.set_yticks(range(len(cells)), islice(labels, len(cells)))
        axes.set(xlim=(0, 1), ylim=(len(cells) - 0.4, -0.6))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.grid(False, axis="y")
        axes.set_title(dataset_title(dataset, result or reference))
    column[-1, 0].set_xlabel("share of units dead after the last epoch")
    one_legend(figure, columns=5)
    return figure


def _draw_cell(
    axes: Axes, reference: StudyResult | None, result: StudyResult | None, cell: Cell, height: int
) -> None:
    shown = find_row(result, f"dead_share/{cell.name}")
    if reference and find_row(reference, f"dead_share/{cell.name}"):
        _draw_causes(axes, reference, cell, height, alpha=1.0)
    elif result:
        _draw_causes(axes, result, cell, height, alpha=0.45)
    if shown is not None:
        axes.plot(shown.mean, height, "D", mfc="white", mec=DEAD, ms=5, label="this run")
    _draw_paper(axes, cell, height)


def _draw_paper(axes: Axes, cell: Cell, height: int) -> None:
    found = paper_dead(cell)
    if found is not None:
        mean, spread = found
        axes.fill_betweenx(
            [height - 0.45, height + 0.45], mean - spread, mean + spread,
            color=PAPER, alpha=0.6, linewidth=0, label="paper", zorder=2.5,
        )  # fmt: skip


def _draw_causes(axes: Axes, run: StudyResult, cell: Cell, height: int, alpha: float) -> None:
    total = run.row(f"dead_share/{cell.name}")
    relu = run.row(f"dead_share_by_relu/{cell.name}").mean
    top = run.row(f"dead_share_by_top_k/{cell.name}").mean
    axes.barh(height, relu, 0.6, color=BY_RELU, alpha=alpha, label="by ReLU")
    axes.barh(height, top, 0.6, left=relu, color=BY_TOP_K, alpha=alpha, label="by Top-k")
    if total.low is not None and total.high is not None:
        axes.plot([total.low, total.high], [height, height], color=DEAD, linewidth=1.2)
    most = find_row(run, f"dead_ceiling/{cell.name}")
    if most is not None:
        axes.plot(most.mean, height, "|", color=DEAD, markersize=13, label="most that k allows")
