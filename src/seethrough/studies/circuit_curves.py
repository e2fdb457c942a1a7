"""Where a circuit's nodes and edges are: curves over blocks, one per site and per matrix."""

from collections.abc import Mapping, Sequence

from jaxtyping import Bool, Float64
from torch import Tensor, nn

from seethrough.circuits.circuit_edges import ENDS, circuit_edges
from seethrough.circuits.circuit_quality import node_fractions
from seethrough.circuits.mask_sites import KINDS, NodeLayout
from seethrough.results import Cell, Series
from seethrough.studies.circuit_rows import MEAN, Place

PARTS = {
    "node_fraction": ("active nodes over all nodes of the site", "fraction", KINDS),
    "edges": ("edges of the matrix", "edges", tuple(ENDS)),
    "null_edges": ("edges of the matrix to expect", "edges", tuple(ENDS)),
}
"""Quantity -> words, unit, and the sites or matrices it is counted at."""
Profile = dict[str, Float64[Tensor, "L _"]]
"""Quantity -> one value per block and site or matrix."""


def profile(model: nn.Module, active: Bool[Tensor, " nodes"], layout: NodeLayout) -> Profile:
    """Return where the nodes and edges of a circuit are."""
    edges = circuit_edges(model, active, layout)
    return {
        "node_fraction": node_fractions(active, layout),
        "edges": edges.edges.double(),
        "null_edges": edges.null,
    }


def profile_curves(
    profiles: Sequence[Mapping[Place, Profile]], tasks: Sequence[str]
) -> list[Series]:
    """Return the curves of every model and setting: the first task's, and the mean over tasks.

    `profiles` holds every circuit's profile, seed by seed.
    """
    settings = dict.fromkeys((place.model, place.setting) for place in profiles[0])
    curves = []
    for model, setting in settings:
        for name, chosen in ((tasks[0], tasks[:1]), (MEAN, tasks)):
            places = [Place(model, setting, task) for task in chosen]
            means = [_mean([of_seed[place] for place in places]) for of_seed in profiles]
            curves += _curves(Place(model, setting, name), means)
    return curves


def _mean(profiles: Sequence[Profile]) -> Profile:
    return {
        name: sum((some[name] for some in profiles[1:]), profiles[0][name]) / len(profiles)
        for name in profiles[0]
    }


def _curves(place: Place, by_seed: Sequence[Profile]) -> list[Series]:
    cell: Cell = {"model": place.model, "setting": place.setting, "task": place.task}
    return [
        Series(
            f"{name}/{place.model}/{place.setting}/{place.task}/{part}",
            words,
            cell | {"part": part},
            unit,
            "block",
            tuple(float(block) for block in range(len(by_seed[0][name]))),
            tuple(tuple(of_seed[name][:, column].tolist()) for of_seed in by_seed),
        )
        for name, (words, unit, parts) in PARTS.items()
        for column, part in enumerate(parts)
    ]
