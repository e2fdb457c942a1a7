"""Does a metric rise or fall with sparsity, class by class?

For each class two numbers over the S levels of sparsity: Spearman's rank correlation, which asks
for a direction only, and the slope of the least-squares line, which says how much. Their means over
classes come with a bootstrap interval. All classes share the same models, so the interval is over
classes, not over trainings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seethrough.neurons.bootstrap import BootstrapInterval, bootstrap_mean
from seethrough.neurons.rank_correlation import rank_correlation

Verdict = Literal["rises", "falls", "no trend"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrendTest:
    """Trend of a metric over sparsity, averaged over classes."""

    rank: BootstrapInterval
    """Spearman's rank correlation of sparsity and metric, -1 to 1, 95 %."""
    slope: BootstrapInterval
    """Change of the metric per unit of sparsity by the least-squares line, 95 %."""

    @property
    def verdict(self) -> Verdict:
        """Return the direction if both intervals lie on the same side of 0."""
        if self.rank.low > 0 and self.slope.low > 0:
            return "rises"
        if self.rank.high < 0 and self.slope.high < 0:
            return "falls"
        return "no trend"


def trend_test(
    sparsities: Sequence[float], values: Float[Tensor, "S C"], *, seed: int
) -> TrendTest:
    """Return the trend of each class's values over the sparsities, averaged over classes.

    A class with NaN at any level is left out. A class that has the same value at every level has
    slope 0 and rank correlation 0: it shows no direction.

    >>> values = torch.tensor([[0.1, 0.5], [0.2, 0.7], [0.4, 0.8]])
    >>> trend_test([0.0, 0.5, 0.7], values, seed=0).verdict
    'rises'

    Raises:
        ValueError: fewer than 3 sparsities, equal or not finite ones, or values of another number.
    """
    if len(set(sparsities)) < len(sparsities) or len(sparsities) < 3:
        raise ValueError(f"sparsities must be at least 3 and distinct, got {list(sparsities)}")
    if len(values) != len(sparsities):
        raise ValueError(f"values have {len(values)} levels, allowed is {len(sparsities)}")
    levels = torch.tensor(sparsities, dtype=torch.float64)
    if not bool(levels.isfinite().all()):
        raise ValueError(f"sparsities must be finite, got {list(sparsities)}")
    per_class = values.detach().to("cpu", torch.float64)
    per_class = per_class[:, ~per_class.isnan().any(dim=0)]
    return TrendTest(
        rank=bootstrap_mean(_rank_correlations(levels, per_class), seed=seed),
        slope=bootstrap_mean(_slopes(levels, per_class), seed=seed),
    )


def _rank_correlations(
    levels: Float64[Tensor, " S"], values: Float64[Tensor, "S C"]
) -> Float64[Tensor, " C"]:
    per_class = values.T.contiguous()  # (C, S)
    return rank_correlation(levels.expand_as(per_class), per_class).nan_to_num(nan=0.0)


def _slopes(levels: Float64[Tensor, " S"], values: Float64[Tensor, "S C"]) -> Float64[Tensor, " C"]:
    centred = levels - levels.mean()
    return centred @ (values - values.mean(dim=0)) / centred.square().sum()
