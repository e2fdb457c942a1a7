"""No preparation: the layer reads its inputs as they are, and its pre-bias starts at 0."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCentring:
    """Inputs as they are: the plain design whose collapse is under test."""

    def input_map(self, d_input: int) -> "IdentityMap":
        """Return the map that leaves inputs as they are."""
        return IdentityMap()

    def begin(
        self,
        input_map: "IdentityMap",
        b_pre: Float[Tensor, " D"],
        inputs: Float[Tensor, "N D"],
    ) -> None:
        """Leave everything as it is."""


class IdentityMap(nn.Module):
    """Leaves inputs and reconstructions as they are; other maps of the inputs extend it."""

    def forward(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return the inputs."""
        return inputs

    def back(self, prepared: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return the argument."""
        return prepared

    def back_direction(self, difference: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return the argument."""
        return difference
