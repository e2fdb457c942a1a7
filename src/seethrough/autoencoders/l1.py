"""L1: every unit may be active, but activity costs.

    penalty = lambda x mean over inputs of sum_m z_m |w_m|

z is the ReLU code, w_m the decoder row of unit m. Weighting by |w_m| closes the loophole of small
codes with large decoder rows. lambda grows from 0 to `coefficient` while the squeeze lasts, then
stays. Symbols: B inputs, M units, D input dimensions.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders.schedule import check_shape, share_done


@dataclass(frozen=True, slots=True, kw_only=True)
class L1:
    """The soft sparsifier of {cite:t}`roy2026collapse`; its coefficients are not known to us."""

    coefficient: float
    """lambda at the end of the squeeze, at least 0; found by bisection where a count is wanted."""
    schedule: str = "linear"
    """Shape of the rise: linear, cosine or constant (`coefficient` throughout)."""

    def __post_init__(self) -> None:
        if not 0 <= self.coefficient < float("inf"):
            raise ValueError(f"coefficient is {self.coefficient}, allowed is a number from 0")
        check_shape(self.schedule)

    def level(self, epoch: int, epochs: int) -> float:
        """Return lambda of one epoch."""
        return self.coefficient * share_done(self.schedule, epoch, epochs)

    def least_width(self) -> int:
        """Return 1: no count is enforced."""
        return 1

    def module(self, width: int) -> nn.Module:
        """Return the sparsifier for a dictionary of `width` units: the ReLU code as it is."""
        return L1Module()

    def penalty(
        self, code: Float[Tensor, "B M"], W_dec: Float[Tensor, "M D"], level: float
    ) -> Float[Tensor, ""]:
        """Return the cost of activity; `level` is lambda."""
        return level * (code.mean(0) @ W_dec.norm(dim=1))  # type: ignore[no-any-return]


class L1Module(nn.Module):
    """Leaves the ReLU code as it is: the penalty does the work."""

    def forward(self, relu_code: Float[Tensor, "B M"], level: float) -> Float[Tensor, "B M"]:
        """Return the code itself."""
        return relu_code
