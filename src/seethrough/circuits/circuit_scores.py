"""Scores, losses and hits of circuits on the examples of a task."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor, nn

from seethrough.circuits.class_tasks import TaskExamples, task_losses, task_scores
from seethrough.circuits.mask_sites import NodeLayout
from seethrough.circuits.masked_forward import masked_logits
from seethrough.data.labelled_images import LabelledImages
from seethrough.models.accuracy import Proportion, wilson_interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CircuitScores:
    """Log odds of a task's set of classes under several masks, on the CPU."""

    positives: Float64[Tensor, "masks pairs"]
    """Scores of images of the set."""
    negatives: Float64[Tensor, "masks pairs"]
    """Scores of images of other classes."""

    def losses(self) -> Float64[Tensor, " masks"]:
        """Return the mean binary cross-entropy under each mask, in nats."""
        return task_losses(self.positives, self.negatives)

    def accuracies(self) -> list[Proportion]:
        """Return the share of images on the right side of 0 under each mask.

        Positives and negatives are equally many, so guessing gives one half. A score of exactly 0
        counts as a negative; NaN is never right.
        """
        right = (self.positives > 0).sum(dim=1) + (self.negatives <= 0).sum(dim=1)
        n = 2 * self.positives.shape[1]
        return [wilson_interval(n_right, n) for n_right in right.tolist()]


@torch.no_grad()
def circuit_scores(
    model: nn.Module,
    images: LabelledImages,
    examples: TaskExamples,
    active: Bool[Tensor, "masks nodes"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
    batch_size: int = 64,
) -> CircuitScores:
    """Return the scores of all examples under every mask, all masks in one run on the model.

    Nodes that are not active are at their mean.

    Raises:
        ValueError: a batch size below 1, an index outside the images, or what `masked_logits` or
            the task refuses.
    """
    like = next(model.parameters())
    gates = active.to(like)
    both = torch.cat([examples.positives, examples.negatives])
    of_batch = []
    for inputs, _ in images.batches(both, batch_size, like.device):
        logits = masked_logits(model, inputs.to(like)[None], gates, means.to(like), layout)
        members = examples.task.members(logits.shape[-1]).to(like.device)
        of_batch.append(task_scores(logits.double(), members.expand(len(gates), -1)))
    positives, negatives = torch.cat(of_batch, dim=1).cpu().chunk(2, dim=1)
    return CircuitScores(positives=positives, negatives=negatives)
