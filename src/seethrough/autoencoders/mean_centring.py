"""Mean-centring: the pre-bias starts at the mean of the inputs that are there when training begins.

Where every input shares a large mean, a unit whose direction opposes it is never switched on, and
one that follows it is on for all inputs alike {cite}`simon2026death`. Subtracting the mean first
leaves what differs between inputs. The pre-bias stays trainable. It helps only if the mean is that
of the activations the layer goes on to read: that of a trained encoder, not of an untrained one.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.no_centring import IdentityMap


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanCentring:
    """Start the pre-bias at the mean of the training inputs."""

    def input_map(self, d_input: int) -> IdentityMap:
        """Return the map that leaves inputs as they are: the pre-bias does the work."""
        return IdentityMap()

    def begin(
        self,
        input_map: IdentityMap,
        b_pre: Float[Tensor, " D"],
        inputs: Float[Tensor, "N D"],
    ) -> None:
        """Set the pre-bias."""
        with torch.no_grad():
            b_pre.copy_(inputs.double().mean(0))
