"""Monosemanticity score: how alike the images are on which a latent is active.

With a_i a latent's activation on image i, scaled to 0 to 1 over the images, and e_i the image's
embedding by another model, of norm 1:

    MS = sum_{i<j} a_i a_j cos(e_i, e_j) / sum_{i<j} a_i a_j
       = (|sum_i a_i e_i|^2 - sum_i a_i^2) / ((sum_i a_i)^2 - sum_i a_i^2)

The first line is the definition of {cite:t}`pach2025monosemantic`, over all pairs; the second needs
one pass, N E multiplications per latent. Symbols: N images, U latents, E embedding dimensions.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor


def monosemanticity(
    activations: Float[Tensor, "N U"], embeddings: Float[Tensor, "_ E"]
) -> Float64[Tensor, " U"]:
    """Return the score of each latent, -1 to 1; embeddings are brought to norm 1.

    NaN for a latent that is equal on all images (a dead one, for instance), or that has only one
    image above its minimum: no pair is left.

    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> activations = torch.tensor([[2.0, 1.0, 0.0], [2.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    >>> monosemanticity(activations, embeddings)
    tensor([1., 0., nan], dtype=torch.float64)

    Raises:
        ValueError: numbers that are not finite, an embedding of zeros, or different numbers of
            activations and embeddings.
    """
    _require_usable(activations, embeddings)
    scaled = _scaled(activations.double())
    unit = torch.nn.functional.normalize(embeddings.double(), dim=1)
    squares = scaled.square().sum(0)
    of_pairs = scaled.sum(0).square() - squares
    alike = (scaled.T @ unit).square().sum(1) - squares
    # One image alone: both differences are rounding, not pairs.
    has_pair = (scaled > 0).sum(0) > 1
    return torch.where(has_pair, alike / of_pairs, torch.nan)


def _scaled(activations: Float64[Tensor, "N U"]) -> Float64[Tensor, "N U"]:
    """Return each latent's activations from 0 at its minimum to 1 at its maximum; NaN if equal."""
    low, high = activations.amin(0), activations.amax(0)
    return (activations - low) / (high - low)


def _require_usable(activations: Float[Tensor, "N U"], embeddings: Float[Tensor, "_ E"]) -> None:
    if len(activations) != len(embeddings) or len(embeddings) == 0:
        raise ValueError(
            f"embeddings are {len(embeddings)}, allowed is one for each of {len(activations)} "
            "images, at least one"
        )
    for name, numbers in (("activations", activations), ("embeddings", embeddings)):
        if not bool(numbers.isfinite().all()):
            raise ValueError(f"{name} must be finite, got NaN or an infinity")
    zeros = (embeddings == 0).all(1)
    if bool(zeros.any()):
        raise ValueError(
            f"embedding {int(zeros.nonzero()[0])} is all zeros, so it has no direction"
        )
