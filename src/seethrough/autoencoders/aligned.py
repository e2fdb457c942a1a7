"""Aligned encoder: a unit that writes its own decoder row reads back exactly 1.

    W[m] = W_enc[m] / (W_enc[m] . W_dec[m]),      so that   W[m] . W_dec[m] = 1

Encoder and decoder of a unit cannot drift apart. Our reading of {cite:t}`brzozowski2026aligned`,
of which the constraint alone is known to us.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

LEAST = 1e-3
"""Products nearer to 0 are taken as this far from it, so that no row becomes infinite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeEncoder:
    """The encoder's rows are parameters of their own."""

    def rows(
        self, W_enc: Float[Tensor, "M D"], W_dec: Float[Tensor, "M D"]
    ) -> Float[Tensor, "M D"]:
        """Return W_enc."""
        return W_enc


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedEncoder:
    """The encoder's rows are scaled to a product of 1 with the decoder's."""

    def rows(
        self, W_enc: Float[Tensor, "M D"], W_dec: Float[Tensor, "M D"]
    ) -> Float[Tensor, "M D"]:
        """Return the scaled rows."""
        products = (W_enc * W_dec).sum(1, keepdim=True)
        away = torch.where(products < 0, products.clamp_max(-LEAST), products.clamp_min(LEAST))
        return W_enc / away
