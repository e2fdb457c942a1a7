"""Student's t interval for a mean over seeds, with no dependency beyond numpy.

The number of degrees of freedom is always a whole number here, and for whole numbers the
distribution function of Student's t is a finite sum of positive terms (Abramowitz and Stegun,
26.7.3 and 26.7.4), exact to rounding.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np


class StudentInterval(NamedTuple):
    """A mean with its spread and confidence interval; all but the mean are None for one value."""

    mean: float
    """Arithmetic mean."""
    sd: float | None
    """Sample standard deviation, with n - 1 in the denominator."""
    low: float | None
    """Lower end of the interval."""
    high: float | None
    """Upper end of the interval."""


def student_interval(values: Sequence[float], level: float = 0.95) -> StudentInterval:
    """Return (mean, sd, low, high) of the values, the interval being mean -+ t sd / sqrt(n).

    One value gives (value, None, None, None): one run says nothing of the spread. Equal values
    give an interval of width 0.

    >>> mean, sd, low, high = student_interval([1.0, 2.0, 3.0])
    >>> mean, sd, round(low, 3), round(high, 3)
    (2.0, 1.0, -0.484, 4.484)

    Raises:
        ValueError: no values, NaN or an infinity among them, or `level` outside (0, 1).
    """
    _require_level(level)
    numbers = [float(value) for value in values]
    if not numbers:
        raise ValueError("an interval needs at least one value, got none")
    if not all(math.isfinite(value) for value in numbers):
        raise ValueError(f"values must be finite, got {numbers}")
    mean = statistics.mean(numbers)
    if len(numbers) == 1:
        return StudentInterval(mean, None, None, None)
    sd = statistics.stdev(numbers)
    half = student_t_quantile(len(numbers) - 1, level) * sd / math.sqrt(len(numbers))
    return StudentInterval(mean, sd, mean - half, mean + half)


@cache
def student_t_quantile(degrees_of_freedom: int, level: float = 0.95) -> float:
    """Return t such that |T| < t has probability `level` under Student's distribution.

    Accurate to about 1e-13 of its value, for levels up to 0.999.

    >>> round(student_t_quantile(2), 4)
    4.3027

    Raises:
        ValueError: `degrees_of_freedom` below 1 or `level` outside (0, 1).
    """
    if degrees_of_freedom < 1:
        raise ValueError(f"degrees_of_freedom must be at least 1, got {degrees_of_freedom}")
    _require_level(level)
    probability = _central_probability(degrees_of_freedom)
    # In the angle, t = sqrt(nu) tan(angle), the whole line is a bounded interval to bisect.
    low, high = 0.0, math.pi / 2
    while low < (middle := (low + high) / 2) < high:
        if probability(middle) < level:
            low = middle
        else:
            high = middle
    return math.sqrt(degrees_of_freedom) * math.tan(high)


def _central_probability(degrees_of_freedom: int) -> Callable[[float], float]:
    """Return the function angle -> P(|T| < sqrt(nu) tan(angle)).

    Even nu: sin a [1 + 1/2 cos^2 a + (1 3)/(2 4) cos^4 a + ... up to cos^(nu - 2) a].
    Odd nu: 2/pi [a + sin a (cos a + 2/3 cos^3 a + (2 4)/(3 5) cos^5 a + ... cos^(nu - 2) a)].
    """
    odd = degrees_of_freedom % 2
    n_terms = degrees_of_freedom // 2
    index = np.arange(1, max(n_terms, 1), dtype=np.float64)
    ratios = (2 * index - 1 + odd) / (2 * index + odd)
    coefficients = np.cumprod(np.concatenate([[1.0], ratios]))[:n_terms]
    powers = 2 * np.arange(n_terms) + odd

    def even_probability(angle: float) -> float:
        return math.sin(angle) * float(coefficients @ math.cos(angle) ** powers)

    def odd_probability(angle: float) -> float:
        return 2 / math.pi * (angle + even_probability(angle))

    return odd_probability if odd else even_probability


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ValueError(f"level must be above 0 and below 1, got {level}")
