"""The model with a site's activations replaced: by their reconstruction, or by their mean.

What the reconstruction loses shows in the model's own task. The mean, the same vector for every
input, is the worst case that the loss is set against:

    recovered = (CE_mean - CE_spliced) / (CE_mean - CE_clean)

Symbols: B images of a batch, T tokens, t of them at the site, D model width, C classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from seethrough.models.accuracy import rank_of_class
from seethrough.neurons.forward_from_block import forward_from_block
from seethrough.neurons.sites import Batches, frozen
from seethrough.sae.residual_site import ResidualSite, stream_after_block
from seethrough.sae.sparse_autoencoder import SparseAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScores:
    """How well a model does its task on some images."""

    top_1: float
    """Share of images whose class has the highest logit, 0 to 1."""
    cross_entropy: float
    """Mean cross-entropy in nats, at least 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpliceScores:
    """The task with a site as it is, reconstructed, and at its mean."""

    n_images: int
    """Images behind each score, at least 1."""
    clean: TaskScores
    """The model as it is."""
    spliced: TaskScores
    """With the reconstruction in place of the activations."""
    mean: TaskScores
    """With the pool's mean in place of the activations."""

    @property
    def top_1_change(self) -> float:
        """Return what splicing adds to top-1, negative for a loss."""
        return self.spliced.top_1 - self.clean.top_1

    @property
    def cross_entropy_change(self) -> float:
        """Return what splicing adds to the cross-entropy, positive for a loss, in nats."""
        return self.spliced.cross_entropy - self.clean.cross_entropy

    @property
    def recovered(self) -> float:
        """Return the share of the cross-entropy that the mean loses and the splice keeps.

        1 for a perfect reconstruction, 0 for one no better than the mean; NaN where the mean loses
        nothing.
        """
        lost = self.mean.cross_entropy - self.clean.cross_entropy
        kept = self.mean.cross_entropy - self.spliced.cross_entropy
        return kept / lost if lost else float("nan")


def splice_scores(
    model: nn.Module, sae: SparseAutoencoder, site: ResidualSite, batches: Batches
) -> SpliceScores:
    """Return the model's task scores with the site clean, reconstructed, and at the mean.

    Of equal logits the class with the lower number is the answer. The model runs in evaluation mode
    and is left as it was.

    Raises:
        ValueError: no image, activations that are NaN, or a site that the model lacks.
    """
    replacements: list[Callable[[Tensor], Tensor]] = [
        lambda vectors: vectors,
        sae,
        lambda vectors: sae.standardisation.mean.expand_as(vectors),
    ]
    totals = torch.zeros(len(replacements), 2, dtype=torch.float64)
    n_images = 0
    for images, labels in batches:
        with torch.no_grad(), frozen(model):
            stream = stream_after_block(model, images, site.block)
            scores = [
                task_totals(replaced_logits(model, stream, site, replace), labels)
                for replace in replacements
            ]
        totals += torch.stack(scores).cpu()
        n_images += len(labels)
    if n_images == 0:
        raise ValueError("splice scores need at least one image, got none")
    clean, spliced, mean = (
        TaskScores(top_1=float(right) / n_images, cross_entropy=float(loss) / n_images)
        for right, loss in totals
    )
    return SpliceScores(n_images=n_images, clean=clean, spliced=spliced, mean=mean)


def replaced_logits(
    model: nn.Module,
    stream: Float[Tensor, "B T D"],
    site: ResidualSite,
    replace: Callable[[Float[Tensor, "n D"]], Float[Tensor, "n D"]],
) -> Float[Tensor, "B C"]:
    """Return the logits after `replace` has been applied to the site's vectors, n = B t of them.

    Vectors are in the order of images and, within one, of tokens.
    """
    tokens = site.read(stream)  # (B, t, D)
    replaced = replace(tokens.flatten(0, 1)).view_as(tokens)
    return forward_from_block(model, site.write(stream, replaced), site.block + 1)


def task_totals(logits: Float[Tensor, "B C"], labels: Int64[Tensor, " B"]) -> Float64[Tensor, " 2"]:
    """Return the number of right answers and the sum of cross-entropies."""
    right = (rank_of_class(logits, labels) < 1).sum()
    loss = F.cross_entropy(logits.double(), labels, reduction="sum")
    return torch.stack([right.double(), loss])
