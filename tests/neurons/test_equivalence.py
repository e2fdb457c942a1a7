"""Equivalence: the three verdicts, their error rate, pairing and NaN."""

import pytest
import torch

from seethrough.neurons.bootstrap import BootstrapInterval
from seethrough.neurons.equivalence import EquivalenceTest, equivalence_test


def noise(n: int, seed: int) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (-0.05, 0.09, "equivalent"),
        (0.02, 0.09, "equivalent"),  # not 0, but too small to matter
        (0.11, 0.2, "different"),
        (-0.3, -0.11, "different"),
        (0.05, 0.15, "undecided"),
        (-0.2, 0.2, "undecided"),
        (-0.1, 0.05, "undecided"),  # on the margin
        (float("nan"), float("nan"), "undecided"),
    ],
)
def test_verdicts_by_hand(low, high, verdict):
    interval = BootstrapInterval(mean=0.0, low=low, high=high, level=0.9, n_classes=9)
    assert EquivalenceTest(difference=interval, margin=0.1).verdict == verdict


def test_pairs_not_groups():
    # Classes differ by 10, pairs by 0.01: paired, the difference is known to 0.001 or so.
    first = 10 * noise(100, 0)
    second = first + 0.01 + 0.005 * noise(100, 1)
    test = equivalence_test(first, second, margin=0.02, seed=0)
    assert test.verdict == "equivalent"
    assert test.difference.mean == pytest.approx(0.01, abs=0.002)
    assert test.difference.level == pytest.approx(0.9)
    assert equivalence_test(first, second.flip(0), margin=0.02, seed=0).verdict == "undecided"


def test_exchange_turns_the_sign():
    first, second = noise(50, 0), noise(50, 1) + 3
    there = equivalence_test(first, second, margin=0.5, seed=0)
    back = equivalence_test(second, first, margin=0.5, seed=0)
    assert there.verdict == back.verdict == "different"
    assert back.difference.low == pytest.approx(-there.difference.high)


def test_a_difference_on_the_margin_is_called_equivalent_one_time_in_twenty():
    # The level of the test: 100 samples whose true difference is the margin; 5 % are 5, and the
    # chance of more than 13 is below 0.1 %. Percentile intervals of 60 classes are a bit narrow.
    verdicts = [
        equivalence_test(torch.zeros(60).double(), 1 + noise(60, seed), margin=1.0, seed=seed)
        for seed in range(100)
    ]
    assert sum(test.verdict == "equivalent" for test in verdicts) <= 13


def test_nan_pairs_are_left_out():
    first, second = noise(10, 0), noise(10, 1)
    first[2], second[7] = torch.nan, torch.nan
    test = equivalence_test(first, second, margin=1.0, seed=0)
    assert test.difference.n_classes == 8


def test_what_is_refused(no_shape_checks):
    with pytest.raises(ValueError, match=r"margin is 0.0, allowed is above 0"):
        equivalence_test(noise(3, 0), noise(3, 1), margin=0.0, seed=0)
    with pytest.raises(ValueError, match="equal numbers, got 3 and 4"):
        equivalence_test(noise(3, 0), noise(4, 1), margin=0.1, seed=0)
