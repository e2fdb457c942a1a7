"""Which units of a code are specialised: alive, and informative about one factor above all.

With I the mutual information of a unit's binned values with a factor and H the factor's entropy, a
unit is specialised if it fires on some image, its largest I/H is at least 0.1, and that is at least
twice its second largest. Both thresholds are this project's choice.

Symbols: N images, M units, F factors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from seethrough.metrics.mig import normalised_information


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SpecialisedUnits:
    """Which of M units are specialised, and in which of F factors."""

    specialised: Bool[Tensor, " M"]
    """Units that are alive, know enough of one factor and much less of every other."""
    factor: Int64[Tensor, " M"]
    """Factor each unit knows most about, specialised or not; the first of equals."""
    normalised: Float64[Tensor, "M F"]
    """Mutual information of unit and factor over the factor's entropy, 0 to 1."""
    alive: Bool[Tensor, " M"]
    """Units with a value above 0 on some image."""

    @property
    def n_specialised(self) -> int:
        """Number of specialised units, 0 to M."""
        return int(self.specialised.sum())

    @property
    def n_alive(self) -> int:
        """Number of units that are alive, 0 to M."""
        return int(self.alive.sum())

    @property
    def units_per_factor(self) -> Int64[Tensor, " F"]:
        """Number of units specialised in each factor; sums to `n_specialised`."""
        n_factors = self.normalised.shape[1]
        return torch.bincount(self.factor[self.specialised], minlength=n_factors)

    @property
    def factors_covered(self) -> int:
        """Number of factors with at least one specialised unit, 0 to F."""
        return int((self.units_per_factor > 0).sum())


def specialised_units(
    codes: Float[Tensor, "N M"],
    factors: Int64[Tensor, "N F"],
    *,
    least_information: float = 0.1,
    least_ratio: float = 2.0,
    n_bins: int = 20,
) -> SpecialisedUnits:
    """Return the units whose best factor has I/H >= `least_information`, `least_ratio` x the next.

    Both comparisons include equality; a ratio is met by a unit that knows of one factor only, and
    with a single factor by every unit. A dead unit (never above 0) is not specialised, and neither
    is a unit that is the same on every image. The control is the count with the factors of
    `shuffled`: information is biased upwards by about (bins - 1)(classes - 1) / (2 N) nats, which
    for 40 classes is 0.025 H at 4,096 images and reaches the threshold near 1,000.

    >>> factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    >>> codes = torch.tensor([[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    >>> units = specialised_units(codes, factors)
    >>> units.specialised.tolist(), units.factors_covered
    ([True, False, False], 1)

    Raises:
        ValueError: a threshold below 0, a ratio below 1, a factor that is constant in the sample,
            or what `mutual_information` refuses.
    """
    if least_information < 0 or least_ratio < 1:
        raise ValueError(
            "least_information must be at least 0 and least_ratio at least 1, "
            f"got {least_information} and {least_ratio}"
        )
    normalised = normalised_information(codes, factors, n_bins)
    best = normalised.amax(dim=1)
    factor = normalised.argmax(dim=1)
    second = normalised.scatter(1, factor[:, None], 0.0).amax(dim=1)
    alive = (codes > 0).any(dim=0)
    enough = (best > 0) & (best >= least_information)
    return SpecialisedUnits(
        specialised=alive & enough & (best >= least_ratio * second),
        factor=factor,
        normalised=normalised,
        alive=alive,
    )
