"""Is a paired difference over classes too small to matter? Two one-sided tests, by bootstrap.

That a difference is not significant does not show that there is none. Equivalence asks the other
way round: with a margin stated beforehand, is the mean difference shown to lie between -margin and
margin? Two one-sided tests at 5 % each amount to a 90 % interval that lies within the margins
{cite:p}`schuirmann1987comparison`.
"""

from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from seethrough.neurons.bootstrap import BootstrapInterval, bootstrap_mean

SIGNIFICANCE = 0.05
"""Level of each of the two one-sided tests."""

Verdict = Literal["equivalent", "different", "undecided"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EquivalenceTest:
    """Outcome of two one-sided tests of a mean paired difference."""

    difference: BootstrapInterval
    """Mean of second minus first over classes, with the interval of both tests, 90 %."""
    margin: float
    """Largest difference that counts as none, above 0, in the unit of the values."""

    @property
    def verdict(self) -> Verdict:
        """Return what the interval shows.

        Strictly within the margins: equivalent. Wholly beyond one of them: different, by more than
        the margin. Otherwise, and for fewer than two classes: undecided.
        """
        low, high = self.difference.low, self.difference.high
        if -self.margin < low and high < self.margin:
            return "equivalent"
        if low > self.margin or high < -self.margin:
            return "different"
        return "undecided"


def equivalence_test(
    first: Float[Tensor, " C"], second: Float[Tensor, " C"], *, margin: float, seed: int
) -> EquivalenceTest:
    """Return whether second minus first, paired by class, is within the margin on average.

    A class with NaN on either side is left out.

    >>> import torch
    >>> first = torch.tensor([0.5, 0.7, 0.6])
    >>> equivalence_test(first, first + 0.01, margin=0.05, seed=0).verdict
    'equivalent'
    >>> equivalence_test(first, first + 0.1, margin=0.05, seed=0).verdict
    'different'

    Raises:
        ValueError: values of different numbers of classes, an infinity, a margin of 0 or below.
    """
    if not margin > 0:
        raise ValueError(f"margin is {margin}, allowed is above 0")
    if len(first) != len(second):
        raise ValueError(f"paired values need equal numbers, got {len(first)} and {len(second)}")
    difference = bootstrap_mean(
        second.double() - first.double(), seed=seed, level=1 - 2 * SIGNIFICANCE
    )
    return EquivalenceTest(difference=difference, margin=margin)
