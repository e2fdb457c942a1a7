"""Figures of circuits: what a price buys, what a loss costs, and where the nodes are.

A model has one colour in all of them. A diamond stands at the price that the paper has for that
model: twice as much for the dense one.
"""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.circuits.mask_sites import KINDS
from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.tables import Runs, find_row
from seethrough.results import StudyResult
from seethrough.studies.circuit_parameters import (
    DENSE_KAPPA,
    SPARSE_KAPPA,
    loss_setting,
    setting,
)
from seethrough.studies.circuit_rows import MEAN
from seethrough.studies.impact_models import TUNED

DENSE_COLOR, SPARSE_COLORS = "#0072B2", ("#D55E00", "#E69F00", "#CC79A7")
PANELS = (
    ("node_fraction", "nodes that are active"),
    ("edges", "edges"),
    ("loss", "loss of the circuit, nats"),
    ("accuracy", "accuracy of the circuit"),
)
"""Quantities that a price moves, with their titles."""
FEW_EDGES = 1000
"""Below this the scale of edges is linear, so that none can be shown too."""


def sparse_models(result: StudyResult) -> list[str]:
    """Return the names of the pruned models of a run."""
    return [f"wanda/{share:g}" for share in result.provenance.parameters["sparsities"]]


def model_color(result: StudyResult, model: str) -> str:
    """Return the colour of a model."""
    if model == TUNED:
        return DENSE_COLOR
    return SPARSE_COLORS[sparse_models(result).index(model) % len(SPARSE_COLORS)]


def model_label(model: str) -> str:
    """Return a model in words.

    >>> model_label("wanda/0.7")
    '70 % removed'
    """
    return "dense" if model == TUNED else f"{100 * float(model.rpartition('/')[2]):g} % removed"


def kappas_of(result: StudyResult) -> list[float]:
    """Return the prices of a run in rising order."""
    return sorted(result.provenance.parameters["kappas"])


def by_price(runs: Runs) -> Figure:
    """Draw nodes, edges, loss and accuracy of circuits against the price of a node.

    Of several runs the first in full, with a thin line per task; of the others the mean over tasks,
    dotted. Dashed: the model with all its nodes.
    """
    (main, *others) = runs.items()
    figure, _ = new_figure(1, 5.2)
    figure.clear()
    panels = figure.subplots(2, 2, sharex=True)
    for axes, (quantity, title) in zip(panels.flat, PANELS, strict=True):
        for model in (TUNED, *sparse_models(main[1])):
            _draw_model(axes, main[1], quantity, model)
        for _, other in others:
            for model in (TUNED, *sparse_models(other)):
                x, y = over_prices(other, quantity, model, MEAN)
                axes.plot(x, y, ":", color=model_color(other, model), linewidth=1)
        axes.set_xscale("log")
        axes.set_xticks(kappas_of(main[1]), [f"{kappa:g}" for kappa in kappas_of(main[1])])
        axes.minorticks_off()
        axes.set_title(title)
    _edge_scale(panels[0, 1])
    for axes in panels[:, 0]:
        axes.set_ylim(bottom=0)
    for axes in (panels[0, 0], panels[1, 1]):
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    for axes in panels[1]:
        axes.set_xlabel("price of a node, nats, in the paper's unit")
    panels[0, 0].plot([], [], "D", mfc="white", mec=DEAD, label="the paper's price")
    panels[0, 0].plot([], [], "--", color=DEAD, linewidth=1, label="all nodes")
    for name, _ in others:
        panels[0, 0].plot([], [], ":", color=DEAD, linewidth=1, label=name)
    figure.suptitle(main[0], fontsize=8)
    one_legend(figure)
    return figure


def _draw_model(axes: Axes, result: StudyResult, quantity: str, model: str) -> None:
    color = model_color(result, model)
    for task in tasks_of(result):
        axes.plot(*over_prices(result, quantity, model, task), color=color, lw=0.6, alpha=0.5)
    x, y = over_prices(result, quantity, model, MEAN)
    axes.plot(x, y, marker=".", color=color, label=model_label(model))
    price = DENSE_KAPPA if model == TUNED else SPARSE_KAPPA
    paper = find_row(result, f"{quantity}/{model}/{setting(price)}/{MEAN}")
    if paper is not None:
        axes.plot(price, paper.mean, "D", mfc="white", mec=color, zorder=5)
    full = find_row(result, f"{quantity}/{model}/full/{MEAN}")
    if full is not None:
        axes.axhline(full.mean, ls="--", color=color, linewidth=1)


def _edge_scale(axes: Axes) -> None:
    """Show numbers of edges on a logarithmic scale that has room for none."""
    top = max(1.1 * axes.get_ylim()[1], FEW_EDGES)
    axes.set_yscale("symlog", linthresh=FEW_EDGES)
    powers = (10.0**n for n in range(3, 9))
    axes.set_yticks([0, *(power for power in powers if power <= top)])
    axes.set_ylim(0, top)


def tasks_of(result: StudyResult) -> list[str]:
    """Return the tasks of a run."""
    return list(result.provenance.parameters["tasks"])


def over_prices(
    result: StudyResult, quantity: str, model: str, task: str
) -> tuple[list[float], list[float]]:
    """Return the prices of a run and a quantity's means over seeds."""
    rows = {
        kappa: find_row(result, f"{quantity}/{model}/{setting(kappa)}/{task}")
        for kappa in kappas_of(result)
    }
    there = [(kappa, row.mean) for kappa, row in rows.items() if row is not None]
    return [kappa for kappa, _ in there], [mean for _, mean in there]


def by_loss(runs: Runs) -> Figure:
    """Draw edges and nodes against the circuit's loss, task by task; of several runs the first.

    Lines run along the prices, one per model and task; filled squares are cut to the target loss.
    """
    name, result = next(iter(runs.items()))
    tasks = tasks_of(result)
    figure, _ = new_figure(1, 4.8)
    figure.clear()
    panels = figure.subplots(2, len(tasks), squeeze=False, sharex="col")
    for line, (quantity, title) in zip(panels, PANELS[:2], strict=True):
        for axes, task in zip(line, tasks, strict=True):
            for model in (TUNED, *sparse_models(result)):
                _draw_against_loss(axes, result, quantity, model, task)
            for target in result.provenance.parameters["target_losses"]:
                axes.axvline(target, color="#BBBBBB", linewidth=1, zorder=0)
            axes.set_title(task if quantity == PANELS[0][0] else "")
        line[0].set_ylabel(title)
    for axes in panels[0]:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:g} %")
    for axes in panels[1]:
        _edge_scale(axes)
        axes.set_xlabel("loss of the circuit, nats")
    figure.suptitle(name, fontsize=8)
    one_legend(figure)
    return figure


def _draw_against_loss(
    axes: Axes, result: StudyResult, quantity: str, model: str, task: str
) -> None:
    color = model_color(result, model)
    _, losses = over_prices(result, "loss", model, task)
    _, values = over_prices(result, quantity, model, task)
    axes.plot(losses, values, marker=".", color=color, label=model_label(model))
    for target in result.provenance.parameters["target_losses"]:
        place = f"{model}/{loss_setting(target)}/{task}"
        loss, value = find_row(result, f"loss/{place}"), find_row(result, f"{quantity}/{place}")
        if loss is not None and value is not None:
            label = f"{model_label(model)}, cut to the target"
            axes.plot(loss.mean, value.mean, "s", color=color, ms=5, label=label)


def nodes_by_site(runs: Runs) -> Figure:
    """Draw the share of active nodes of every block and site, mean over tasks and seeds.

    Of several runs the first: the dense model at its price, a pruned one at its own, and at the
    dense one's.
    """
    name, result = next(iter(runs.items()))
    sparse = sparse_models(result)[-1]
    shown = [(TUNED, DENSE_KAPPA), (sparse, SPARSE_KAPPA), (sparse, DENSE_KAPPA)]
    figure, panels = new_figure(3, 3.2)
    for axes, (model, kappa) in zip(panels, shown, strict=True):
        columns = [
            result.one_series(f"node_fraction/{model}/{setting(kappa)}/{MEAN}/{kind}").mean
            for kind in KINDS
        ]
        grid = np.array(columns).T
        axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, origin="lower", aspect="auto")
        for (block, column), value in np.ndenumerate(grid):
            dark = "white" if value > 0.6 else "black"
            text = f"{100 * value:.0f}"
            axes.text(column, block, text, ha="center", va="center", fontsize=6, color=dark)
        axes.set_xticks(range(len(KINDS)), KINDS, rotation=90, fontsize=7)
        axes.set_title(f"{model_label(model)}, price {setting(kappa)}", fontsize=8)
        axes.grid(False)
    panels[0].set_ylabel("block")
    figure.suptitle(f"{name}: active nodes, per cent", fontsize=8)
    return figure
