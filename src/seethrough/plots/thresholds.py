"""Figures and tables of the definitions of dead: what each counts, and how each ranks the cells."""

from collections.abc import Sequence

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.labels import (
    METHOD_COLORS,
    POSITION_MARKERS,
    by_dataset,
    cell_labels,
    cell_of,
    cell_text,
    dataset_title,
)
from seethrough.plots.style import new_figure, one_legend
from seethrough.plots.tables import (
    find_row,
    half_width,
    markdown_table,
    named_runs,
    number,
    rows_named,
    union,
)
from seethrough.results import StudyResult
from seethrough.studies.cells import Cell

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
