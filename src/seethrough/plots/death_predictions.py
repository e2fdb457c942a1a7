"""Figure and table of a formula's prediction of death, beside what died.

The formula is that of seethrough.metrics.death_model, for a layer at its random start, applied to
what the layer reads after training.
"""

from collections.abc import Sequence
from functools import partial

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.complexity import RUNGS, rungs_of
from seethrough.plots.labels import DATASETS, METHODS, cell_of
from seethrough.plots.style import DEAD, new_figure, one_legend, percent_axis
from seethrough.plots.tables import Runs, difference, markdown_table, number, percent, rows_named
from seethrough.results import Row, StudyResult
from seethrough.studies.cells import Cell


def predictions(runs: Runs) -> Figure:
    """Draw measured against predicted dead shares, and what is left against the directions.

    Every mark is one cell of one run, a mean over seeds; colours are data sets. The reference run
    is filled, others are open. Panels: all deaths; deaths by ReLU; measured minus predicted deaths
    by the participation ratio of the layer's input.
    """
    figure, panels = new_figure(3, 3.2)
    for name, run in runs.items():
        for cell in map(cell_of, rows_named(run, "predicted_dead")):
            _draw_prediction(panels, run, cell, filled=name == "reference run")
    for axes, title in zip(panels, ("all deaths", "deaths by ReLU"), strict=False):
        axes.plot([0, 1], [0, 1], color=DEAD, linewidth=0.8, label="as predicted")
        axes.set_xticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
        axes.set(xlabel="predicted from gamma", xlim=(0, 1), title=title)
        percent_axis(axes, "measured")
    panels[2].axhline(0, color=DEAD, linewidth=0.8)
    panels[2].yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}" if value else "0")
    panels[2].set(xlabel="directions of the input", ylabel="measured − predicted, points")
    panels[2].set(title="what is left", xlim=(0, None))
    one_legend(figure)
    return figure


def _draw_prediction(panels: Sequence[Axes], result: StudyResult, cell: Cell, filled: bool) -> None:
    color = f"C{RUNGS.index(cell.dataset)}"
    find = partial(_named_row, result, cell)
    left = difference(find("predicted_dead"), find("dead_share"))
    assert left is not None
    marks = (
        (find("predicted_dead"), find("dead_share")),
        (find("predicted_dead_by_relu"), find("dead_share_by_relu")),
        (find("participation"), left),
    )
    for axes, (x, y) in zip(panels, marks, strict=True):
        face = color if filled else "white"
        if y.low is not None and y.high is not None:
            axes.plot([x.mean, x.mean], [y.low, y.high], color=color, linewidth=1.2)
        axes.plot(x.mean, y.mean, "o", color=color, mfc=face, label=DATASETS[cell.dataset])


def _named_row(result: StudyResult, cell: Cell, quantity: str) -> Row:
    return result.row(f"{quantity}/{cell.name}")


def ladder_table(runs: Runs, position: str, width: int) -> Markdown:
    """Return what was measured and predicted at every rung, at one position and width."""
    header = [
        "rung", "run", "dead", "by ReLU", "by Top-k", "predicted", "by ReLU, predicted", "gamma",
        "directions", "inputs in use",
    ]  # fmt: skip
    lines = [
        [f"{DATASETS[cell.dataset]}, {METHODS[method]}", name, *_rung_line(run, cell)]
        for method in METHODS
        for name, run in runs.items()
        for cell in rungs_of(run, method, position, width)
    ]
    return markdown_table(header, lines)


def _rung_line(result: StudyResult, cell: Cell) -> list[str]:
    shares = (
        "dead_share", "dead_share_by_relu", "dead_share_by_top_k", "predicted_dead",
        "predicted_dead_by_relu",
    )  # fmt: skip
    return [
        *[percent(_named_row(result, cell, name)) for name in shares],
        number(_named_row(result, cell, "gamma"), 2),
        number(_named_row(result, cell, "participation"), 1),
        percent(_named_row(result, cell, "used_inputs")),
    ]
