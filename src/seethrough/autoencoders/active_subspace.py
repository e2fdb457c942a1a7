"""Active-subspace start: units begin inside the directions in which the inputs vary.

Hidden layers of 256 units vary in a handful of directions. A random direction of all 256 then has
little in common with any input, and its unit loses against luckier ones. Here directions are drawn
at random inside the span of the leading principal components {cite}`wang2025residual`. Rule (our
choice): the least number r of components that hold 99 % of the variance of the training inputs,
after their preparation. The decoder's norm follows the tied start with r in the place of D.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.principal_components import principal_components
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSubspaceStart:
    """Tied random directions inside the leading principal components."""

    variance: float = 0.99
    """Share of the variance that the components hold, above 0 and at most 1."""

    def __post_init__(self) -> None:
        if not 0 < self.variance <= 1:
            raise ValueError(f"variance is {self.variance}, allowed is above 0 and at most 1")

    def begin(
        self,
        sae: SparseAutoencoder,
        prepared: Float[Tensor, "N D"],
        generator: torch.Generator,
    ) -> None:
        """Draw directions for encoder and decoder alike; `prepared` decides the subspace."""
        found = principal_components(prepared)
        r = found.n_holding(self.variance)
        width = len(sae.W_enc)
        rows = torch.randn(width, r, generator=generator, dtype=torch.float64)
        rows = (rows / rows.norm(dim=1, keepdim=True)) @ found.directions[:r]
        with torch.no_grad():
            sae.W_enc.copy_(rows)
            sae.W_dec.copy_(min(1.0, 2 * r / width) * rows)
