"""Modularity: does each unit of a code know of one factor only?

    modularity_i = 1 - (sum_f I_if^2 - max_f I_if^2) / ((F - 1) max_f I_if^2)

I_if is the mutual information of unit i with factor f in nats (ridgeway2018learning, section 3), a
unit of no information counting 0. Information is estimated as by locatello2019challenging: codes in
equal-width bins.

Symbols: N images, M units, F factors.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.metrics.mig import mutual_information


@dataclass(frozen=True, slots=True, kw_only=True)
class Modularity:
    """Modularity of a code, averaged in two ways."""

    all_units: float
    """Mean over all units, 0 to 1; units of no information count 0, so dead ones lower it."""
    live_units: float
    """Mean over the units that have information on some factor, 0 to 1; NaN if there is none."""
    n_live: int
    """Number of units that have information on some factor."""


def modularity(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> Modularity:
    """Return the modularity of the code.

    It is high for a useless code too: chance information differs between factors by their number
    of classes, and squaring favours the largest. Give the value with `shuffled` factors beside it.

    Raises:
        ValueError: fewer than two factors, or what `mutual_information` refuses.
    """
    per_unit = modularity_per_unit(mutual_information(codes, factors, n_bins))
    live = ~torch.isnan(per_unit)
    return Modularity(
        all_units=float(per_unit.nan_to_num(nan=0.0).mean()),
        live_units=float(per_unit[live].mean()),
        n_live=int(live.sum()),
    )


def modularity_per_unit(information: Float[Tensor, "M F"]) -> Float64[Tensor, " M"]:
    """Return the modularity of each unit, 0 to 1, from its information on each factor, 0 or above.

    A unit that knows of one factor only has 1, one that knows as much of every factor 0, one of no
    information NaN.

    >>> modularity_per_unit(torch.tensor([[2.0, 0.0, 0.0], [2.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    tensor([1.0000, 0.7500,    nan], dtype=torch.float64)

    Raises:
        ValueError: fewer than two factors.
    """
    n_factors = information.shape[1]
    if n_factors < 2:
        raise ValueError(f"modularity needs at least 2 factors, got {n_factors}")
    best = information.double().amax(dim=1, keepdim=True)
    shares = information / best  # before squaring, which would underflow for tiny information
    return 1 - (shares.square().sum(dim=1) - 1) / (n_factors - 1)
