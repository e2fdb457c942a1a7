"""Where a sparse autoencoder's inputs come from.

An encoder that is still in training gives other activations every epoch; a frozen one gives the
same ones in another order. For the autoencoder both are a source of epochs.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.training.initialise import generator_for


@runtime_checkable
class ActivationSource(Protocol):
    """Activations to learn from and to be measured on, by epoch (from 1)."""

    @property
    def d_input(self) -> int:
        """Return D, the number of input dimensions."""

    def train(self, epoch: int) -> Float[Tensor, "n_train D"]:
        """Return the activations to learn from, in the order in which to read them."""

    def heldout(self, epoch: int) -> Float[Tensor, "n_heldout D"]:
        """Return the activations of the held-out images after the epoch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrozenActivations:
    """Activations of an encoder that no longer changes, in a new order every epoch."""

    training: Float[Tensor, "n_train D"]
    """Activations of the training images."""
    held: Float[Tensor, "n_heldout D"]
    """Activations of the held-out images, in the order of their factors."""
    seed: int
    """Decides the order."""

    @property
    def d_input(self) -> int:
        """Return D, the number of input dimensions."""
        return self.training.shape[1]

    def train(self, epoch: int) -> Float[Tensor, "n_train D"]:
        """Return the training activations in the order of this epoch."""
        generator = generator_for(self.seed, "frozen", epoch)
        order = torch.randperm(len(self.training), generator=generator)
        return self.training[order.to(self.training.device)]

    def heldout(self, epoch: int) -> Float[Tensor, "n_heldout D"]:
        """Return the held-out activations, the same after every epoch."""
        return self.held
