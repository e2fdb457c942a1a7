"""Percentile bootstrap of a mean over classes.

Classes are drawn with replacement, as many as there are, and the mean of each draw taken; the
interval holds the middle share of these means. It says how the mean would move with other classes
of the same kind. It says nothing of other seeds or other trained models.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

N_RESAMPLES = 10_000
# Draws held at once, 8 bytes each.
MAX_DRAWN = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class BootstrapInterval:
    """A mean over classes with its interval; the ends are NaN for fewer than two classes."""

    mean: float
    """Arithmetic mean; NaN without classes."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    level: float
    """Share of the bootstrap means inside, 0 to 1."""
    n_classes: int
    """Classes that had a value."""


def bootstrap_mean(
    values: Float[Tensor, " C"], *, seed: int, level: float = 0.95, n_resamples: int = N_RESAMPLES
) -> BootstrapInterval:
    """Return the mean over classes and its percentile interval.

    Classes with NaN are left out. With fewer than two classes the ends are NaN: one class says
    nothing of the spread. Computed on the CPU, so the same seed gives the same interval everywhere.

    >>> interval = bootstrap_mean(torch.tensor([1.0, 2.0, 3.0, torch.nan]), seed=0)
    >>> interval.mean, interval.low < 2 < interval.high, interval.n_classes
    (2.0, True, 3)

    Raises:
        ValueError: an infinity among the values, `level` outside (0, 1), `n_resamples` below 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, allowed is above 0 and below 1")
    if n_resamples < 1:
        raise ValueError(f"n_resamples is {n_resamples}, allowed is at least 1")
    known = values.detach().to("cpu", torch.float64)
    known = known[~known.isnan()]
    if bool(known.isinf().any()):
        raise ValueError("values must be finite or NaN, got an infinity")
    low, high = torch.nan, torch.nan
    if len(known) > 1:
        means = _resampled_means(known, seed, n_resamples)
        tail = (1 - level) / 2
        low, high = means.quantile(torch.tensor([tail, 1 - tail], dtype=torch.float64)).tolist()
    mean = float(known.mean()) if len(known) else torch.nan
    return BootstrapInterval(mean=mean, low=low, high=high, level=level, n_classes=len(known))


def _resampled_means(
    values: Float64[Tensor, " n"], seed: int, n_resamples: int
) -> Float64[Tensor, " resamples"]:
    generator = torch.Generator().manual_seed(seed)
    n = len(values)
    step = max(1, MAX_DRAWN // n)
    means = []
    # A loop over blocks of draws bounds their memory.
    for start in range(0, n_resamples, step):
        size = (min(step, n_resamples - start), n)
        means.append(values[torch.randint(n, size, generator=generator)].mean(dim=1))
    return torch.cat(means)
