"""Kendall's rank correlation of two short lists, ties counted (tau-b)."""

import math
from collections.abc import Sequence
from itertools import combinations


def kendall_tau(first: Sequence[float], second: Sequence[float]) -> float:
    """Return Kendall's tau-b, -1 to 1; NaN if one list holds a single value only.

    (concordant - discordant) / sqrt(pairs untied in the first x pairs untied in the second)
    {cite:p}`kendall1945treatment`. Quadratic in the length.

    >>> kendall_tau([1.0, 2.0, 3.0], [1.0, 3.0, 2.0])
    0.3333333333333333

    Raises:
        ValueError: lists of different lengths, or a value that is NaN.
    """
    if len(first) != len(second):
        raise ValueError(f"lists need equal lengths, got {len(first)} and {len(second)}")
    if any(math.isnan(value) for value in (*first, *second)):
        raise ValueError("ranks need numbers, got NaN")
    agreement, untied_first, untied_second = 0, 0, 0
    for i, j in combinations(range(len(first)), 2):
        one, other = _sign(first[i] - first[j]), _sign(second[i] - second[j])
        agreement += one * other
        untied_first += abs(one)
        untied_second += abs(other)
    if not untied_first or not untied_second:
        return math.nan
    return agreement / math.sqrt(untied_first * untied_second)


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
