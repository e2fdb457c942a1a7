"""What one circuit is measured by, as numbers under the names that rows have."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seethrough.circuits.circuit_edges import CircuitEdges, circuit_edges
from seethrough.circuits.circuit_quality import size_quality
from seethrough.circuits.circuit_scores import circuit_scores
from seethrough.circuits.mask_sites import NodeLayout
from seethrough.circuits.random_circuit import random_circuit
from seethrough.studies.circuit_images import Examples

QUANTITIES = {
    "nodes": ("active nodes", "nodes"),
    "node_fraction": ("active nodes over all nodes", "fraction"),
    "edges": ("weights other than 0 between active nodes", "edges"),
    "null_edges": ("edges to expect from density and numbers of active nodes", "edges"),
    "over_null": ("edges over those to expect", "1"),
    "loss": ("binary cross-entropy on held-out pairs", "nats"),
    "accuracy": ("accuracy on held-out pairs", "fraction"),
    "learned_loss": ("binary cross-entropy on the pairs it was learned on", "nats"),
    "without_loss": ("binary cross-entropy of the model without the circuit", "nats"),
    "without_accuracy": ("accuracy of the model without the circuit", "fraction"),
    "random_loss": ("binary cross-entropy of a random circuit of this size", "nats"),
    "random_accuracy": ("accuracy of a random circuit of this size", "fraction"),
    "ncq": ("accuracy over the model's, times the share of nodes left out", "1"),
    "edge_ncq": ("accuracy over the model's, times the share of its edges left out", "1"),
    "edge_ncq_all": ("accuracy over the model's, times the share of all weights left out", "1"),
    "unseen_loss": ("binary cross-entropy on pairs of unseen hues", "nats"),
    "unseen_accuracy": ("accuracy on pairs of unseen hues", "fraction"),
    "reached": ("1 if the circuit meets the target loss, 0 if not", "1"),
}
"""Name -> words and unit."""
Numbers = dict[str, float]


class MaskedModel:
    """A model whose nodes can be set to their means, and what its circuits are judged by."""

    def __init__(
        self, model: nn.Module, layout: NodeLayout, means: Float[Tensor, " channels"], batch: int
    ) -> None:
        self.model, self.layout, self.means, self.batch = model, layout, means, batch

    def scores(
        self, examples: Examples, *masks: Bool[Tensor, " nodes"]
    ) -> list[tuple[float, float]]:
        """Return loss and accuracy on the examples under each mask."""
        found = circuit_scores(
            self.model, examples.images, examples.pairs, torch.stack(masks), self.means,
            self.layout, self.batch,
        )  # fmt: skip
        accuracies = [accuracy.value for accuracy in found.accuracies()]
        return list(zip(found.losses().tolist(), accuracies, strict=True))

    def everything(self) -> Bool[Tensor, " nodes"]:
        """Return the mask that keeps all nodes."""
        return torch.ones(self.layout.n_nodes, dtype=torch.bool)

    def size(self, active: Bool[Tensor, " nodes"]) -> Numbers:
        """Return nodes and edges of a circuit, and the edges to expect."""
        edges = self.edges(active)
        return {
            "nodes": float(active.sum()),
            "node_fraction": float(active.double().mean()),
            "edges": float(edges.n_edges),
            "null_edges": float(edges.null.sum()),
            "over_null": edges.over_null,
        }

    def edges(self, active: Bool[Tensor, " nodes"]) -> CircuitEdges:
        """Return the edges of a circuit in the model's weights."""
        return circuit_edges(self.model, active, self.layout)

    def judged(
        self,
        active: Bool[Tensor, " nodes"],
        heldout: Examples,
        full_accuracy: float,
        draws: torch.Generator,
    ) -> Numbers:
        """Return size, performance, necessity, quality and the random control of a circuit."""
        control = random_circuit(active, self.layout, draws)
        circuit, without, random = self.scores(heldout, active, ~active, control)
        edges = self.edges(active)
        share = float(active.double().mean())
        of_own = edges.n_edges / int(edges.weights.sum())
        of_all = edges.n_edges / int(edges.sizes.sum())
        return self.size(active) | {
            "loss": circuit[0],
            "accuracy": circuit[1],
            "without_loss": without[0],
            "without_accuracy": without[1],
            "random_loss": random[0],
            "random_accuracy": random[1],
            "ncq": size_quality(circuit[1], full_accuracy, share),
            "edge_ncq": size_quality(circuit[1], full_accuracy, of_own),
            "edge_ncq_all": size_quality(circuit[1], full_accuracy, of_all),
        }
