"""PCA-whitening: the layer reads inputs whose principal components all vary alike.

    p = (x - m) V^T / s,      x = p s V + m,      s = sqrt(variance + floor x mean variance)

m is the mean of the training inputs, rows of V are their principal components. Hidden layers vary
in few directions, and a random unit then sees little else; after whitening no direction is
neglected {cite}`simon2026death`. The floor keeps directions that hardly vary from being blown up
to noise. m, V and s are fixed when training begins. Reconstructions are mapped back, and the loss
is taken on x, so that its numbers compare with those of other layers.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.no_centring import IdentityMap
from seethrough.autoencoders.principal_components import principal_components


@dataclass(frozen=True, slots=True, kw_only=True)
class Whitening:
    """Whiten the inputs by their principal components."""

    floor: float = 0.01
    """Added to each variance, as a share of the mean variance; above 0. Our choice."""

    def __post_init__(self) -> None:
        if not 0 < self.floor < math.inf:
            raise ValueError(f"floor is {self.floor}, allowed is a number above 0")

    def input_map(self, d_input: int) -> "WhiteningMap":
        """Return a map that `begin` fills."""
        return WhiteningMap(d_input)

    def begin(
        self,
        input_map: IdentityMap,
        b_pre: Float[Tensor, " D"],
        inputs: Float[Tensor, "N D"],
    ) -> None:
        """Set the map from the training inputs; inputs that do not vary are centred only."""
        assert isinstance(input_map, WhiteningMap)
        found = principal_components(inputs)
        floor = self.floor * found.variances.mean()
        scales = (found.variances + floor).sqrt()
        scales = torch.where(scales > 0, scales, 1.0)
        input_map.centre.copy_(found.centre)
        input_map.into.copy_(found.directions.T / scales)  # [D D], one column per component
        input_map.out.copy_(scales[:, None] * found.directions)


class WhiteningMap(IdentityMap):
    """An invertible affine map of the inputs."""

    centre: Tensor
    into: Tensor
    out: Tensor

    def __init__(self, d_input: int) -> None:
        """Start as the identity."""
        super().__init__()
        self.register_buffer("centre", torch.zeros(d_input))
        self.register_buffer("into", torch.eye(d_input))
        self.register_buffer("out", torch.eye(d_input))

    def forward(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return whitened inputs."""
        return (inputs - self.centre) @ self.into

    def back(self, prepared: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return whitened inputs in their own units."""
        return torch.addmm(self.centre, prepared, self.out)

    def back_direction(self, difference: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return differences of whitened inputs in the inputs' units."""
        return difference @ self.out
