"""Ghost gradients: dead units answer through an exponential, which is never silent.

The dead units' pre-activations h give a ghost code exp(h) and with it a ghost reconstruction g of
the residual e = x - x_hat, scaled to half the residual's norm, input by input:

    loss += |g |e| / (2 |g|) - e|^2, scaled to the size of the main loss

after {cite:t}`jermyn2024ghost`. Scales and residual carry no gradient. Because g is scaled, exp(h)
may be divided by its largest entry first, which keeps it finite.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.sparse_autoencoder import SparseOutput

TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class GhostGradients:
    """The ghost gradients of {cite:t}`jermyn2024ghost`."""

    silent_epochs: float = 1.0
    """A unit is dead once it was silent for so many passes over the inputs, above 0. Our choice."""

    def __post_init__(self) -> None:
        if not 0 < self.silent_epochs < math.inf:
            raise ValueError(f"silent_epochs is {self.silent_epochs}, allowed is a number above 0")

    def patience(self, steps_per_epoch: int, epochs: int) -> int:
        """Return the steps of silence after which a unit is dead."""
        return max(1, round(self.silent_epochs * steps_per_epoch))

    def loss(
        self, sae: PreparedAutoencoder, output: SparseOutput, dead: Bool[Tensor, " M"]
    ) -> Float[Tensor, ""]:
        """Return the ghost loss of one batch, as large as the batch's main loss; 0 with no dead."""
        units = dead.nonzero()[:, 0]
        if len(units) == 0:
            return output.code.new_zeros(())
        residual = (output.inputs - output.reconstruction).detach()
        h = sae.pre_activations_of(output.inputs, units)
        ghost = sae.contribution((h - h.detach().amax(1, keepdim=True)).exp(), units)
        with torch.no_grad():
            half = residual.norm(dim=1, keepdim=True) / 2
            scale = half / ghost.norm(dim=1, keepdim=True).clamp_min(TINY)
        error = (scale * ghost - residual).square().sum()
        with torch.no_grad():
            size = output.unexplained() / error.clamp_min(TINY)
        ghost_loss: Tensor = size * error
        return ghost_loss
