"""Trend: by hand, against SciPy, for trends and for none."""

import pytest
import torch
from scipy.stats import linregress, spearmanr

from seethrough.neurons.trend import trend_test

SPARSITIES = [0.0, 0.3, 0.5, 0.7, 0.9]


def noise(n_classes: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(5, n_classes, generator=torch.Generator().manual_seed(seed)).double()


def test_by_hand():
    # Levels 0, 1/2, 1. Class a: 0 1 2, slope 2, rank 1. Class b: 1 0 0, slope -1; ranks of b are 3,
    # 1.5, 1.5: centred (1.5, -.75, -.75) . (-1, 0, 1) / sqrt(2 x 3.375) = -2.25 / 2.598 = -0.8660.
    values = torch.tensor([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]])
    trend = trend_test([0.0, 0.5, 1.0], values, seed=0)
    assert trend.slope.mean == pytest.approx(0.5)
    assert trend.rank.mean == pytest.approx((1 - 0.8660254) / 2)
    assert trend.verdict == "no trend"


def test_equals_scipy_class_by_class():
    values = noise(20)
    trend = trend_test(SPARSITIES, values, seed=0)
    slopes = [linregress(SPARSITIES, column.tolist()).slope for column in values.T]
    ranks = [spearmanr(SPARSITIES, column.tolist()).statistic for column in values.T]
    assert trend.slope.mean == pytest.approx(sum(slopes) / 20)
    assert trend.rank.mean == pytest.approx(sum(ranks) / 20)


def test_verdicts():
    rise = torch.tensor(SPARSITIES).double()[:, None]
    for sign, verdict in ((1, "rises"), (-1, "falls"), (0, "no trend")):
        trend = trend_test(SPARSITIES, sign * rise + 0.3 * noise(80), seed=0)
        assert trend.verdict == verdict
    assert trend_test(SPARSITIES, noise(80).abs() ** 0, seed=0).verdict == "no trend"


def test_order_of_levels_and_shifts_of_classes_change_nothing():
    values = noise(15)
    plain = trend_test(SPARSITIES, values, seed=0)
    shuffled = trend_test(SPARSITIES[::-1], values.flip(0), seed=0)
    shifted = trend_test(SPARSITIES, values + 100 * torch.arange(15), seed=0)
    for other in (shuffled, shifted):
        assert other.slope.high == pytest.approx(plain.slope.high)
        assert other.rank.low == pytest.approx(plain.rank.low)


def test_classes_with_nan_are_left_out():
    values = noise(6)
    values[2, 3] = torch.nan
    trend = trend_test(SPARSITIES, values, seed=0)
    assert trend.slope.n_classes == trend.rank.n_classes == 5
    kept = trend_test(SPARSITIES, values[:, [0, 1, 2, 4, 5]], seed=0)
    assert kept == trend
    nothing = trend_test(SPARSITIES, torch.full((5, 2), torch.nan), seed=0)
    assert (nothing.verdict, nothing.rank.n_classes) == ("no trend", 0)


def test_what_is_refused():
    with pytest.raises(ValueError, match="at least 3 and distinct"):
        trend_test([0.0, 0.5], noise(3)[:2], seed=0)
    with pytest.raises(ValueError, match="at least 3 and distinct"):
        trend_test([0.0, 0.5, 0.5], noise(3)[:3], seed=0)
    with pytest.raises(ValueError, match="values have 5 levels, allowed is 3"):
        trend_test([0.0, 0.5, 0.7], noise(3), seed=0)
    with pytest.raises(ValueError, match="must be finite"):
        trend_test([0.0, 0.5, float("nan")], noise(3)[:3], seed=0)
