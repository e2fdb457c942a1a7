"""Activations of a site, streamed out of a model into one pool in memory; nothing goes to disk.

The pool is one tensor of float32, allocated once on the model's device, and filled batch by batch
until it is full or the images end. The model is cut after the site's block. On an H200, 1.28
million class tokens of width 768 take 3.9 GB.

Symbols: N vectors in the pool, D model width.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.neurons.sites import Batches, frozen
from seethrough.sae.residual_site import ResidualSite, stream_after_block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationPool:
    """Activations of one site on some images, in the order of the images, 4 N D bytes."""

    inputs: Float[Tensor, "N D"]
    """One vector per token of the site, float32, finite."""
    labels: Int64[Tensor, " N"]
    """Class of the image that the vector comes from."""


@torch.no_grad()
def activation_pool(
    model: nn.Module, batches: Batches, site: ResidualSite, capacity: int
) -> ActivationPool:
    """Return the first `capacity` vectors of the site, or all if the images bring fewer.

    Reading stops with the batch that fills the pool. The model runs in evaluation mode and is left
    as it was.

    Raises:
        ValueError: a capacity below 1, no image, a site that the model lacks, or an activation that
            is NaN or infinite.
    """
    if capacity < 1:
        raise ValueError(f"capacity is {capacity}, allowed is at least 1")
    parameter = next(model.parameters())
    inputs = torch.empty(capacity, 0, device=parameter.device)
    labels = torch.empty(capacity, dtype=torch.int64, device=parameter.device)
    filled = 0
    with frozen(model):
        for images, image_labels in batches:
            tokens = site.read(stream_after_block(model, images, site.block))
            if filled == 0:
                inputs = inputs.new_empty(capacity, tokens.shape[2])
            vectors = tokens.flatten(0, 1)[: capacity - filled]
            part = slice(filled, filled + len(vectors))
            inputs[part] = vectors
            labels[part] = image_labels.repeat_interleave(tokens.shape[1])[: len(vectors)]
            filled = part.stop
            if filled == capacity:
                break
    if filled == 0:
        raise ValueError("an activation pool needs at least one image, got none")
    pool = ActivationPool(inputs=inputs[:filled], labels=labels[:filled])
    require_finite(pool.inputs)
    return pool


def shuffled_batches(
    inputs: Float[Tensor, "N D"], batch_size: int, generator: torch.Generator, first: int = 0
) -> Iterator[Float[Tensor, "B D"]]:
    """Yield every vector once, in an order drawn from a generator on the CPU, batch by batch.

    The last batch takes what is left. Batches before number `first` are passed over, without
    changing those that follow.

    >>> import torch
    >>> batches = shuffled_batches(torch.eye(3), 2, torch.Generator().manual_seed(0))
    >>> [len(batch) for batch in batches]
    [2, 1]
    """
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    for rows in order.split(batch_size)[first:]:  # type: ignore[no-untyped-call]
        yield inputs[rows]


def require_finite(inputs: Float[Tensor, "N D"]) -> None:
    """Raise ValueError if an input is NaN or infinite; the message names the first vector."""
    finite = inputs.isfinite().all(dim=1)
    if not bool(finite.all()):
        wrong = (~finite).nonzero()[:, 0]
        raise ValueError(
            f"activations must be finite, got NaN or an infinity in {len(wrong)} of {len(inputs)} "
            f"vectors, first in number {int(wrong[0])}"
        )
