"""Untied start: encoder and decoder begin with directions of their own.

A control for the tied start: a unit then reads one direction and writes another.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class UntiedStart:
    """Random directions, drawn apart for encoder and decoder; norms as in the tied start."""

    def begin(
        self,
        sae: SparseAutoencoder,
        prepared: Float[Tensor, "N D"],
        generator: torch.Generator,
    ) -> None:
        """Draw new decoder directions."""
        rows = torch.randn(sae.W_dec.shape, generator=generator)
        norms = sae.W_dec.detach().norm(dim=1, keepdim=True)
        with torch.no_grad():
            sae.W_dec.copy_(norms * rows / rows.norm(dim=1, keepdim=True))
