"""Bootstrap: against the normal approximation and a slow replica; NaN; what is refused."""

import math

import pytest
import torch

from seethrough.neurons import bootstrap
from seethrough.neurons.bootstrap import bootstrap_mean


def sample(n: int = 400) -> torch.Tensor:
    return torch.randn(n, generator=torch.Generator().manual_seed(0)).double() + 3


@pytest.mark.parametrize(("level", "quantile"), [(0.95, 1.96), (0.9, 1.645)])
def test_near_the_normal_interval_for_many_classes(level, quantile):
    # For 400 values the mean is all but normal with standard error s / sqrt(400).
    values = sample()
    interval = bootstrap_mean(values, seed=1, level=level)
    half = quantile * float(values.std()) / 20
    assert interval.mean == pytest.approx(float(values.mean()))
    assert interval.low == pytest.approx(interval.mean - half, abs=0.05 * half)
    assert interval.high == pytest.approx(interval.mean + half, abs=0.05 * half)
    assert (interval.level, interval.n_classes) == (level, 400)


def test_two_values_by_hand():
    # Draws of two from {0, 1}: mean 0, 1/2, 1 with probabilities 1/4, 1/2, 1/4. The 2.5 % quantile
    # is 0, the 97.5 % quantile 1; of the middle 40 % both ends are 1/2.
    values = torch.tensor([0.0, 1.0])
    wide, narrow = (bootstrap_mean(values, seed=0, level=level) for level in (0.95, 0.4))
    assert (wide.mean, wide.low, wide.high) == (0.5, 0.0, 1.0)
    assert (narrow.low, narrow.high) == (0.5, 0.5)


def test_shifts_scales_and_equal_values():
    values = sample(30)
    plain, moved = (bootstrap_mean(v, seed=2) for v in (values, 10 * values - 4))
    assert moved.low == pytest.approx(10 * plain.low - 4)
    assert moved.high == pytest.approx(10 * plain.high - 4)
    equal = bootstrap_mean(torch.full((9,), 2.5), seed=0)
    assert (equal.low, equal.mean, equal.high) == (2.5, 2.5, 2.5)


def test_seed_decides(monkeypatch):
    values = sample(50)
    first = bootstrap_mean(values, seed=0)
    assert bootstrap_mean(values, seed=0) == first
    assert bootstrap_mean(values, seed=1) != first
    monkeypatch.setattr(bootstrap, "MAX_DRAWN", 500)  # blocks draw the same numbers
    assert bootstrap_mean(values, seed=0) == first


def test_nan_is_left_out_and_one_class_has_no_interval():
    values = sample(20)
    with_gaps = torch.cat([values[:5], torch.tensor([torch.nan]), values[5:]])
    assert bootstrap_mean(with_gaps, seed=0) == bootstrap_mean(values, seed=0)
    one = bootstrap_mean(torch.tensor([torch.nan, 2.0]), seed=0)
    assert (one.mean, one.n_classes) == (2.0, 1)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    none = bootstrap_mean(torch.tensor([torch.nan]), seed=0)
    assert math.isnan(none.mean)
    assert none.n_classes == 0


def test_what_is_refused():
    with pytest.raises(ValueError, match="level is 1"):
        bootstrap_mean(sample(), seed=0, level=1.0)
    with pytest.raises(ValueError, match="n_resamples is 0"):
        bootstrap_mean(sample(), seed=0, n_resamples=0)
    with pytest.raises(ValueError, match="infinity"):
        bootstrap_mean(torch.tensor([1.0, torch.inf]), seed=0)
