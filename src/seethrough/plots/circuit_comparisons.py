"""Figures that compare circuits: edges against those to expect, and ratios with intervals."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.circuits import (
    kappas_of,
    model_color,
    model_label,
    over_prices,
    sparse_models,
    tasks_of,
)
from seethrough.plots.style import DEAD, PAPER, new_figure, one_legend
from seethrough.plots.tables import Runs, find_row
from seethrough.results import Row, StudyResult
from seethrough.studies.circuit_rows import MEAN
from seethrough.studies.impact_models import TUNED

PAPER_RATIO = 2.5
"""Edges of dense over sparse circuits that the paper reports."""
RATIOS = (
    ("edge_ratio/ratio_of_means", "edges, ratio of means", "#0072B2", "o"),
    ("edge_ratio/mean_of_ratios", "edges, mean of ratios", "#56B4E9", "s"),
    ("edge_ratio/geometric_mean", "edges, geometric mean", "#CC79A7", "D"),
    ("null_ratio/geometric_mean", "to expect from density and nodes", "#999999", "x"),
)
"""Rows of ratios, with label, colour and mark."""


def against_null(runs: Runs) -> Figure:
    """Draw edges against those to expect, and edges over them by price; of several runs the first.

    Crosses are the mask of one model on the weights of the other.
    """
    name, result = next(iter(runs.items()))
    figure, (left, right) = new_figure(2, 3.4)
    for model in (TUNED, *sparse_models(result)):
        color, label = model_color(result, model), model_label(model)
        for row in _rows(result, "edges", model):
            null = result.row(f"null_{row.id}")
            swapped = str(row.cell["setting"]).startswith("mask_of")
            mark, words = ("x", ", mask of the other") if swapped else ("o", "")
            left.plot(null.per_seed, row.per_seed, mark, color=color, ms=4, label=label + words)
        for task in tasks_of(result):
            x, y = over_prices(result, "over_null", model, task)
            right.plot(x, y, marker=".", color=color)
    ends = np.array([10.0, max(10.0, *left.get_xlim(), *left.get_ylim())])
    left.plot(ends, ends, color=DEAD, linewidth=0.8, label="as many as to expect")
    left.set_xscale("symlog", linthresh=10)
    left.set_yscale("symlog", linthresh=10)
    left.set(xlabel="edges to expect from density and nodes", ylabel="edges")
    right.axhline(1, color=DEAD, linewidth=0.8)
    right.set_xscale("log")
    right.set_xticks(kappas_of(result), [f"{kappa:g}" for kappa in kappas_of(result)])
    right.minorticks_off()
    right.set(xlabel="price of a node, nats, in the paper's unit", ylabel="edges / to expect")
    figure.suptitle(name, fontsize=8)
    one_legend(figure)
    return figure


def _rows(result: StudyResult, quantity: str, model: str) -> list[Row]:
    """Return the rows of a quantity of one model, one per setting and task."""
    return [
        row
        for row in result.rows
        if row.id.startswith(f"{quantity}/{model}/") and row.cell.get("task") != MEAN
    ]


def ratios(runs: Runs) -> Figure:
    """Draw the ratio of edges, dense over sparse, in every comparison; a panel per pruned model.

    Of several runs the first. Lines: 95 % over tasks and seeds. Green: the paper's number; dotted:
    what the density of the pruned weights alone would give.
    """
    name, result = next(iter(runs.items()))
    models, names = sparse_models(result), comparisons_of(result)
    figure, panels = new_figure(len(models), 1.5 + 0.45 * len(names))
    for axes, model in zip(panels, models, strict=True):
        for height, comparison in enumerate(names):
            for shift, (quantity, label, color, mark) in enumerate(RATIOS):
                _draw_ratio(axes, result, f"{quantity}/{comparison}/{model}",
                            height + 0.16 * (shift - 1.5), label, color, mark)  # fmt: skip
        axes.axvline(1, color=DEAD, linewidth=0.8)
        axes.axvline(PAPER_RATIO, color=PAPER, label="the paper: 2.5")
        density = 1 / (1 - float(model.rpartition("/")[2]))
        axes.axvline(density, color=DEAD, ls=":", label="density alone")
        axes.set_xscale("log", base=2)
        axes.set_xticks([0.5, 1, 2, 4])
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(ylim=(len(names) - 0.5, -0.5), yticks=[], xlabel="dense / sparse")
        axes.set_title(model_label(model))
        axes.grid(False, axis="y")
    panels[0].set_yticks(range(len(names)), [comparison_label(n) for n in names], fontsize=7)
    figure.suptitle(name, fontsize=8)
    one_legend(figure, 3)
    return figure


def _draw_ratio(
    axes: Axes, result: StudyResult, id: str, height: float, label: str, color: str, mark: str
) -> None:
    head, _, place = id.partition("/")
    row = find_row(result, id)
    if row is None or not row.mean > 0:
        return
    ends = [result.row(f"{head}_{end}/{place}").mean for end in ("low", "high")]
    axes.plot(ends, [height, height], color=color, linewidth=1.1)
    axes.plot(row.mean, height, mark, color=color, ms=4, label=label)


def comparisons_of(result: StudyResult) -> list[str]:
    """Return the comparisons of a run, in the order of its rows."""
    found = (str(row.cell["comparison"]) for row in result.rows if "comparison" in row.cell)
    return list(dict.fromkeys(found))


def comparison_label(name: str) -> str:
    """Return a comparison in words.

    >>> comparison_label("paper"), comparison_label("loss_0.15")
    ("the paper's two prices", 'equal loss, 0.15 nats')
    """
    kind, _, value = name.partition("_")
    words = {"kappa": f"equal price, {value}", "loss": f"equal loss, {value} nats"}
    return words.get(kind, "the paper's two prices")
