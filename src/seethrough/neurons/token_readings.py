"""One number per image and unit out of a unit's activations on all tokens, read in three ways."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.neurons.sites import AttentionHeads, MlpUnits, Site


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenReadings:
    """Activations of U units on B images; the class token is the first of T tokens."""

    class_token: Float[Tensor, "B U"]
    """Activation on the class token."""
    patch_maximum: Float[Tensor, "B U"]
    """Largest activation on the other tokens, the patches."""
    token_mean: Float[Tensor, "B U"]
    """Mean activation over all tokens, the class token included; of a head, a mean of norms."""
    vector_mean: Float[Tensor, "B U V"]
    """Mean over all tokens of the V numbers of a unit; of an MLP unit, its mean activation."""


def token_readings(site: Site, vectors: Float[Tensor, "B T U V"]) -> TokenReadings:
    """Return the readings of a site's activations, in float32 or the model's higher precision.

    Raises:
        ValueError: fewer than 2 tokens, so no patch.
    """
    if vectors.shape[1] < 2:
        raise ValueError(f"tokens are {vectors.shape[1]}, allowed is at least 2")
    activations = site.activation(vectors)
    precision = torch.promote_types(vectors.dtype, torch.float32)
    vector_mean = vectors.mean(dim=1, dtype=precision)
    match site:
        case MlpUnits():
            token_mean = vector_mean[..., 0]
        case AttentionHeads():
            token_mean = activations.mean(dim=1, dtype=precision)
    return TokenReadings(
        class_token=activations[:, 0].to(precision, copy=True),  # a view would keep all tokens
        patch_maximum=activations[:, 1:].amax(dim=1).to(precision),
        token_mean=token_mean,
        vector_mean=vector_mean,
    )
