"""Intervals over seeds."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit


def student_interval(
    values: Sequence[float], level: float = 0.95
) -> tuple[float, float | None, float | None, float | None]:
    """Return mean, sd, and the ends of the Student t interval of the mean.

    sd has n - 1 in the denominator; the half-width is t(n - 1) x sd / sqrt(n). With one value there
    is a mean and nothing else (None). Raises ValueError for no value, for NaN or infinity, and for
    a level outside (0, 1).
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(f"values are {list(values)}, allowed are finite numbers, at least one")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, allowed is a share above 0 and below 1")
    mean = fmean(values)
    if len(values) == 1:
        return mean, None, None, None
    sd = stdev(values)
    half = float(stdtrit(len(values) - 1, 0.5 + level / 2)) * sd / math.sqrt(len(values))
    return mean, sd, mean - half, mean + half
