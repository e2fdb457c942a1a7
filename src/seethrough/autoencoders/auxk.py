"""AuxK: dead units learn from what the live ones leave unexplained.

The residual e = x - x_hat of each input is reconstructed by its k_aux most active dead units:

    loss += weight x |e_hat - e|^2 / variance of e,        e_hat = contribution of those units

after {cite:t}`gao2024scaling`. e carries no gradient. As in the authors' code the units' values
pass a ReLU, so a unit whose pre-activation is negative on every input gets no gradient: AuxK can
help units that lose the competition, not those that nothing switches on. A value that is not a
number (no dead unit, no residual) counts as 0.
"""

import math
from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.sparse_autoencoder import SparseOutput, unexplained_variance
from seethrough.autoencoders.top_k import top_k


@dataclass(frozen=True, slots=True, kw_only=True)
class AuxK:
    """The auxiliary loss of {cite:t}`gao2024scaling`."""

    k_aux: int = 128
    """Dead units per input that may answer, at least 1; about half of the 256 input dimensions."""
    weight: float = 1 / 32
    """Weight of the loss, above 0. From the source."""
    silent_epochs: float = 1.0
    """A unit is dead once it was silent for so many passes over the inputs, above 0. Our choice."""

    def __post_init__(self) -> None:
        if self.k_aux < 1:
            raise ValueError(f"k_aux is {self.k_aux}, allowed is a count of at least 1")
        for name in ("weight", "silent_epochs"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a number above 0")

    def patience(self, steps_per_epoch: int, epochs: int) -> int:
        """Return the steps of silence after which a unit is dead."""
        return max(1, round(self.silent_epochs * steps_per_epoch))

    def loss(
        self, sae: PreparedAutoencoder, output: SparseOutput, dead: Bool[Tensor, " M"]
    ) -> Float[Tensor, ""]:
        """Return the weighted auxiliary loss of one batch."""
        units = dead.nonzero()[:, 0]
        if len(units) == 0:
            return output.code.new_zeros(())
        residual = (output.inputs - output.reconstruction).detach()
        code = top_k(output.relu_code[:, units], self.k_aux)
        error = unexplained_variance(sae.contribution(code, units), residual)
        return self.weight * error.nan_to_num(nan=0.0)
