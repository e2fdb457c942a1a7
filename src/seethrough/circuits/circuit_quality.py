"""How good a circuit is: what it does alone, what the model does without it, and how small it is.

    NCQ = accuracy of the circuit / accuracy of the model * (1 - share of nodes that are active)

{cite:p}`zhang2026impact`; its edge version has edges over a stated number of edges in place of the
share of nodes. Accuracies are those of the binary task on balanced examples, so guessing has 0.5.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from seethrough.circuits.circuit_scores import circuit_scores
from seethrough.circuits.class_tasks import TaskExamples
from seethrough.circuits.mask_sites import KINDS, NodeLayout
from seethrough.data.labelled_images import LabelledImages
from seethrough.models.accuracy import Proportion


@dataclass(frozen=True, slots=True, kw_only=True)
class Performance:
    """How well a task is done with some nodes at their mean."""

    loss: float
    """Mean binary cross-entropy, nats."""
    accuracy: Proportion
    """Share of balanced examples on the right side."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitQuality:
    """What a circuit does for its task."""

    full: Performance
    """With all nodes: the model itself."""
    circuit: Performance
    """With the circuit alone."""
    without: Performance
    """With all nodes but the circuit: it is necessary if this is bad."""
    node_fraction: float
    """Share of all nodes in the circuit, 0 to 1."""

    @property
    def ncq(self) -> float:
        """Return node-based circuit quality; see `size_quality`."""
        accuracy, full = self.circuit.accuracy.value, self.full.accuracy.value
        return size_quality(accuracy, full, self.node_fraction)


def circuit_quality(
    model: nn.Module,
    images: LabelledImages,
    examples: TaskExamples,
    active: Bool[Tensor, " nodes"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
    batch_size: int = 64,
) -> CircuitQuality:
    """Return what model, circuit and the model without it do on the examples, in one run.

    Raises:
        ValueError: what `circuit_scores` refuses.
    """
    masks = torch.stack([torch.ones_like(active), active, ~active])
    scores = circuit_scores(model, images, examples, masks, means, layout, batch_size)
    full, circuit, without = (
        Performance(loss=loss, accuracy=accuracy)
        for loss, accuracy in zip(scores.losses().tolist(), scores.accuracies(), strict=True)
    )
    fraction = int(active.sum()) / len(active)
    return CircuitQuality(full=full, circuit=circuit, without=without, node_fraction=fraction)


def size_quality(accuracy: float, full_accuracy: float, share: float) -> float:
    """Return accuracy / full_accuracy * (1 - share), NaN where the model is never right.

    `share` is that of active nodes for NCQ. For its edge version it is edges over the model's own
    weights other than 0, or over all weights; which of them belongs beside the number.

    >>> round(size_quality(0.9, 0.9, 0.29), 4)
    0.71

    Raises:
        ValueError: a share outside 0 to 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}, allowed is 0 to 1")
    return accuracy / full_accuracy * (1 - share) if full_accuracy else float("nan")


def node_fractions(active: Bool[Tensor, " nodes"], layout: NodeLayout) -> Float64[Tensor, "L 8"]:
    """Return the share of active nodes of every block and kind of site, 0 to 1."""
    shares = [part.double().mean() for part in layout.by_site(active)]
    return torch.stack(shares).view(layout.n_blocks, len(KINDS))
