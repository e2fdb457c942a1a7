"""Tied start: every unit begins with the same direction in encoder and decoder."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedStart:
    """The start of `SparseAutoencoder`: random directions, shared by encoder and decoder."""

    def begin(
        self,
        sae: SparseAutoencoder,
        prepared: Float[Tensor, "N D"],
        generator: torch.Generator,
    ) -> None:
        """Leave the autoencoder as it was made."""
