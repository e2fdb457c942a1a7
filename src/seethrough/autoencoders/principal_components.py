"""Principal components of the inputs of a sparse layer, in float64 on the CPU."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PrincipalComponents:
    """Directions of the variance of D-dimensional inputs, the largest variance first."""

    centre: Float64[Tensor, " D"]
    """Mean of the inputs."""
    variances: Float64[Tensor, " D"]
    """Variance along each direction (N in the denominator), at least 0, falling."""
    directions: Float64[Tensor, "D D"]
    """One orthonormal direction per row."""

    def n_holding(self, share: float) -> int:
        """Return the least number of leading directions that hold this share of the variance.

        `share` is above 0 and at most 1; inputs that do not vary give 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share is {share}, allowed is above 0 and at most 1")
        held = self.variances.cumsum(0)
        return int((held < share * held[-1]).sum().clamp_max(len(held) - 1)) + 1


def principal_components(inputs: Float[Tensor, "N D"]) -> PrincipalComponents:
    """Return the principal components; the largest entry of each direction is positive.

    Raises:
        ValueError: no inputs.
    """
    if len(inputs) == 0:
        raise ValueError("principal components need at least one input, got none")
    values = inputs.detach().cpu().double()
    centre = values.mean(0)
    covariance = (values - centre).T @ (values - centre) / len(values)
    variances, columns = torch.linalg.eigh(covariance)  # rising
    rows = columns.T.flip(0)
    largest = rows.gather(1, rows.abs().argmax(1, keepdim=True))
    return PrincipalComponents(
        centre=centre,
        variances=variances.flip(0).clamp_min(0),
        directions=rows * torch.where(largest < 0, -1.0, 1.0),
    )
