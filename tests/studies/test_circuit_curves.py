from collections.abc import Callable
from typing import Any

import pytest
import torch

from seethrough.circuits.circuit_edges import ENDS, circuit_edges
from seethrough.circuits.mask_sites import KINDS, node_layout
from seethrough.studies.circuit_curves import profile, profile_curves
from seethrough.studies.circuit_rows import MEAN, Place


def test_profiles_are_the_circuits_nodes_and_edges(tiny_vit: Callable[..., Any]) -> None:
    model = tiny_vit()
    layout = node_layout(model)
    active = torch.rand(layout.n_nodes, generator=torch.Generator().manual_seed(0)) < 0.3
    found = profile(model, active, layout)
    edges = circuit_edges(model, active, layout)
    assert int(found["edges"].sum()) == edges.n_edges
    assert float(found["null_edges"].sum()) == pytest.approx(float(edges.null.sum()))
    widths = torch.tensor([site.n_nodes for site in layout.sites]).view(3, len(KINDS))
    assert float((found["node_fraction"] * widths).sum()) == pytest.approx(float(active.sum()))


def test_curves_are_of_the_first_task_and_of_the_mean() -> None:
    def blocks(value: float) -> dict[str, torch.Tensor]:
        return {
            "node_fraction": torch.full((2, len(KINDS)), value, dtype=torch.float64),
            "edges": torch.full((2, len(ENDS)), 10 * value, dtype=torch.float64),
            "null_edges": torch.full((2, len(ENDS)), 20 * value, dtype=torch.float64),
        }

    seeds = [
        {Place("dense", "8e-05", "a"): blocks(1.0), Place("dense", "8e-05", "b"): blocks(3.0)},
        {Place("dense", "8e-05", "a"): blocks(5.0), Place("dense", "8e-05", "b"): blocks(7.0)},
    ]
    curves = {curve.id: curve for curve in profile_curves(seeds, ("a", "b"))}
    assert len(curves) == 2 * (len(KINDS) + 2 * len(ENDS))
    first = curves["node_fraction/dense/8e-05/a/mlp_act"]
    assert first.x == (0.0, 1.0)
    assert first.per_seed == ((1.0, 1.0), (5.0, 5.0))
    assert curves[f"edges/dense/8e-05/{MEAN}/fc1"].per_seed == ((20.0, 20.0), (60.0, 60.0))
    # The inputs are not changed by the mean.
    assert float(seeds[0][Place("dense", "8e-05", "a")]["edges"][0, 0]) == 10.0
