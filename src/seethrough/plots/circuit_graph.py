"""A circuit as a graph in layers: sites as nodes, weight matrices as edges.

A circuit has thousands of nodes, so each site of each block is one disc: its area is the share of
its nodes that are active. An arrow is one matrix: its width grows with the number of edges between
active nodes, its colour says how that compares with the number to expect. Blocks stand one above
the other, as data meets them from bottom to top; grey arrows are the residual stream.
"""

import math
from itertools import pairwise

import networkx as nx  # type: ignore[import-untyped]
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure

from seethrough.circuits.circuit_edges import ENDS
from seethrough.circuits.mask_sites import KINDS
from seethrough.plots.circuits import (
    kappas_of,
    model_color,
    model_label,
    sparse_models,
    tasks_of,
)
from seethrough.plots.style import new_figure
from seethrough.plots.tables import Runs
from seethrough.plots.unit_maps import as_png
from seethrough.results import StudyResult
from seethrough.studies.circuit_parameters import DENSE_KAPPA, setting
from seethrough.studies.impact_models import TUNED

PLACES = {
    "norm1": (0.0, 0.0), "q": (1.0, 0.33), "k": (1.0, 0.0), "v": (1.0, -0.33),
    "attn_out": (2.0, 0.0), "norm2": (3.0, 0.0), "mlp_act": (4.0, 0.0), "mlp_out": (5.0, 0.0),
}  # fmt: skip
"""Where a site stands within its block."""
RESIDUAL = (("attn_out", "norm2"),)
"""Sites of a block that the residual stream joins; the last one joins the next block."""
NORM = TwoSlopeNorm(vcenter=1.0, vmin=0.5, vmax=1.5)
COLORS = colormaps["coolwarm"]
LARGEST = 130.0
"""Area of a disc whose nodes are all active, in square points."""


def circuit_graph(result: StudyResult, model: str, price: float, task: str) -> "nx.DiGraph":
    """Return a circuit's sites and matrices.

    Nodes are (block, site) with `share`, the active share, and `pos`; edges have `edges`, and
    `over_null`, NaN where none are to be expected. Edges of the residual stream have neither. Means
    over seeds.
    """
    place = f"{model}/{setting(price)}/{task}"
    shares = {k: result.one_series(f"node_fraction/{place}/{k}").mean for k in KINDS}
    n_blocks = len(shares[KINDS[0]])
    graph = nx.DiGraph()
    for block in range(n_blocks):
        for kind, (x, y) in PLACES.items():
            graph.add_node((block, kind), share=shares[kind][block], pos=(x, block + y))
        graph.add_edges_from(((block, a), (block, b)) for a, b in RESIDUAL)
    graph.add_edges_from(((a, "mlp_out"), (b, "norm1")) for a, b in pairwise(range(n_blocks)))
    for matrix, (source, target) in ENDS.items():
        edges = result.one_series(f"edges/{place}/{matrix}").mean
        null = result.one_series(f"null_edges/{place}/{matrix}").mean
        for block, (n, expected) in enumerate(zip(edges, null, strict=True)):
            ratio = n / expected if expected else math.nan
            graph.add_edge((block, source), (block, target), edges=n, over_null=ratio)
    return graph


def draw_graph(axes: Axes, graph: "nx.DiGraph", color: str) -> None:
    """Draw a circuit's graph."""
    positions = nx.get_node_attributes(graph, "pos")
    shares = nx.get_node_attributes(graph, "share")
    sizes = [LARGEST * share for share in shares.values()]
    nx.draw_networkx_nodes(graph, positions, node_size=LARGEST, node_color="white",
                           edgecolors="#CCCCCC", linewidths=0.6, ax=axes)  # fmt: skip
    nx.draw_networkx_nodes(graph, positions, node_size=sizes, node_color=color, ax=axes)
    residual = [(a, b) for a, b, n in graph.edges(data="edges") if n is None]
    common = {"arrowsize": 5, "node_size": LARGEST, "ax": axes}
    nx.draw_networkx_edges(graph, positions, edgelist=residual, edge_color="#CCCCCC",
                           style="dotted", width=0.8, **common)  # fmt: skip
    joined = [(a, b, data) for a, b, data in graph.edges(data=True) if data.get("edges")]
    nx.draw_networkx_edges(
        graph, positions, edgelist=[(a, b) for a, b, _ in joined],
        edge_color=[COLORS(NORM(data["over_null"])) for _, _, data in joined],
        width=[0.4 + 0.9 * math.log10(1 + data["edges"]) for _, _, data in joined], **common,
    )  # fmt: skip
    n_blocks = 1 + max(block for block, _ in graph)
    axes.set(xlim=(-0.5, 5.5), ylim=(-0.6, n_blocks - 0.4), yticks=range(n_blocks))
    axes.set_xticks([0, 1, 2, 3, 4, 5], ["norm1", "q k v", "attn\nout", "norm2", "mlp\nact",
                                         "mlp\nout"], fontsize=7)  # fmt: skip
    axes.tick_params(left=False, bottom=False, labelleft=True, labelbottom=True)
    axes.grid(False)


def circuits_side_by_side(result: StudyResult, price: float, task: str) -> Figure:
    """Draw the circuits of the dense model and of each pruned one at one price."""
    models = [TUNED, *sparse_models(result)]
    figure, panels = new_figure(len(models), 5.0)
    for axes, model in zip(panels, models, strict=True):
        place = f"{model}/{setting(price)}/{task}"
        nodes, edges = (result.row(f"{name}/{place}").mean for name in ("node_fraction", "edges"))
        loss = result.row(f"loss/{place}").mean
        draw_graph(axes, circuit_graph(result, model, price, task), model_color(result, model))
        axes.set_title(
            f"{model_label(model)}: {100 * nodes:.1f} % of nodes,\n{edges:,.0f} edges, loss "
            f"{loss:.2f}", fontsize=8,
        )  # fmt: skip
    panels[0].set_ylabel("block")
    bar = figure.colorbar(ScalarMappable(NORM, COLORS), ax=panels, shrink=0.6)
    bar.set_label("edges / to expect", fontsize=7)
    figure.suptitle(f"task: {task}, price {setting(price)}", fontsize=8)
    return figure


def first_graph(runs: Runs) -> Figure:
    """Draw the circuits of the first task at the paper's price for dense models.

    Of several runs the first.
    """
    result = next(iter(runs.values()))
    return circuits_side_by_side(result, DENSE_KAPPA, tasks_of(result)[0])


def graph_pictures(runs: Runs) -> dict[str, bytes]:
    """Return price -> PNG of the circuits of the first task; of several runs the first."""
    result = next(iter(runs.values()))
    task = tasks_of(result)[0]
    return {
        setting(price): as_png(circuits_side_by_side(result, price, task))
        for price in kappas_of(result)
    }
