"""Inputs of an autoencoder on a common scale: a mean per feature, one number for their size.

    y = (x - mean) / scale,      scale^2 = mean over inputs and features of (x - mean)^2

Measured once, on the pool, and undone on output. One scale for all features keeps directions and
shares of variance as they are: the mean squared error of y is the share of the pool's variance that
a reconstruction leaves unexplained. Symbols: B inputs, D features.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

BLOCK = 1 << 16
"""Inputs whose float64 copy is made at once."""


class Standardisation(nn.Module):
    """The map from inputs to standardised ones and back; the identity until `measure`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, d_input: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(d_input))
        self.register_buffer("scale", torch.ones(()))

    @torch.no_grad()
    def measure(self, inputs: Float[Tensor, "N D"]) -> None:
        """Take mean and scale from these inputs, in float64; inputs all alike have scale 1.

        Raises ValueError without inputs.
        """
        if len(inputs) == 0:
            raise ValueError("a standardisation needs at least one input, got none")
        # Relative to the first input, equal inputs have a spread of exactly 0.
        first = inputs[0].double()
        blocks = inputs.split(BLOCK)  # type: ignore[no-untyped-call]
        sums, squares = torch.zeros_like(first), first.new_zeros(())
        for block in blocks:
            sums += (block.double() - first).sum(0)
        mean = first + sums / len(inputs)
        for block in blocks:
            squares += (block.double() - mean).square().sum()
        scale = (squares / inputs.numel()).sqrt()
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(scale > 0, scale, 1.0))

    def forward(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return standardised inputs."""
        return (inputs - self.mean).div_(self.scale)

    def undo(self, standardised: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return inputs in their own units."""
        return standardised * self.scale + self.mean
