"""What each unit of a vision transformer knows of the factors that the images were rendered from.

For unit u and factor f the mutual information I_uf of `seethrough.metrics.mig` (activations in
equal-width bins) over the factor's entropy, and per unit the gap between its best factor and its
second best. MIG takes its gap per factor, between units; here it is per unit, between factors: a
unit with a large gap stands for one factor alone.

Symbols: N images, U units, F factors.
"""

from dataclasses import dataclass

from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.metrics.mig import normalised_information


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FactorInformation:
    """Information of U units on F factors."""

    normalised: Float64[Tensor, "U F"]
    """Mutual information of unit and factor over the factor's entropy, 0 to 1."""

    @property
    def factor(self) -> Int64[Tensor, " U"]:
        """Factor each unit knows most about, the first of equals."""
        return self.normalised.argmax(dim=1)

    @property
    def best(self) -> Float64[Tensor, " U"]:
        """Each unit's largest normalised information, 0 to 1; 0 for a constant unit."""
        return self.normalised.amax(dim=1)

    @property
    def gap(self) -> Float64[Tensor, " U"]:
        """Each unit's largest normalised information minus its second largest, 0 to 1.

        0 for a unit that is the same on all images, or knows two factors equally well.
        """
        best = self.normalised.topk(2, dim=1).values
        return best[:, 0] - best[:, 1]


def factor_information(
    activations: Float[Tensor, "N U"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> FactorInformation:
    """Return the normalised information of every unit on every factor.

    Biased upwards by about (bins - 1)(classes - 1) / (2 N) nats: compare with the same from
    `seethrough.metrics.information_scores.shuffled` factors.

    Raises:
        ValueError: fewer than two factors, a factor that is constant in the sample, or what
            `mutual_information` refuses.
    """
    if factors.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 factors, got {factors.shape[1]}")
    return FactorInformation(normalised=normalised_information(activations, factors, n_bins))
