"""Student's t: intervals by hand, quantiles against scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from seethrough.metrics import student_interval, student_t_quantile


def test_by_hand():
    # 1, 2, 3: mean 2, sd 1; t for 2 degrees of freedom at 95 % is sqrt(2) a / sqrt(1 - a^2) with
    # a = 0.95, that is 4.302652..., and the half width t / sqrt(3) = 2.484137...
    half = math.sqrt(2) * 0.95 / math.sqrt(1 - 0.95**2) / math.sqrt(3)
    interval = student_interval([1.0, 2.0, 3.0])
    assert interval.mean == 2.0
    assert interval.sd == 1.0
    assert interval.low == pytest.approx(2 - half, abs=1e-13)
    assert interval.high == pytest.approx(2 + half, abs=1e-13)


def test_one_value_has_no_spread():
    assert student_interval([0.3]) == (0.3, None, None, None)


def test_equal_values_have_width_zero():
    assert student_interval([0.1, 0.1, 0.1]) == (0.1, 0.0, 0.1, 0.1)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
def test_quantile_equals_scipy(level):
    degrees = np.arange(1, 201)
    ours = np.array([student_t_quantile(int(nu), level) for nu in degrees])
    assert np.abs(ours - stats.t.ppf((1 + level) / 2, degrees)).max() < 1e-10


@pytest.mark.parametrize("level", [0.01, 0.999])
def test_quantile_far_out_equals_scipy_relatively(level):
    degrees = np.arange(1, 201)
    ours = np.array([student_t_quantile(int(nu), level) for nu in degrees])
    assert ours == pytest.approx(stats.t.ppf((1 + level) / 2, degrees), rel=1e-11)


def test_quantile_approaches_the_normal_one():
    # 1.959963984540054 is the 97.5 % point of the standard normal distribution.
    assert student_t_quantile(100_000) == pytest.approx(1.959963984540054, abs=5e-5)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    values=st.lists(st.floats(-100, 100), min_size=2, max_size=12),
    level=st.sampled_from([0.5, 0.9, 0.95, 0.99]),
)
def test_interval_equals_scipy(values, level):
    interval = student_interval(values, level)
    error = stats.sem(values)
    low, high = stats.t.interval(level, len(values) - 1, loc=np.mean(values), scale=1.0)
    assert interval.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert interval.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    assert interval.low == pytest.approx(
        np.mean(values) + (low - np.mean(values)) * error, abs=1e-9
    )
    assert interval.high == pytest.approx(
        np.mean(values) + (high - np.mean(values)) * error, abs=1e-9
    )


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_values_without_a_mean_are_refused(wrong):
    with pytest.raises(ValueError, match="values must be finite"):
        student_interval([1.0, wrong])


def test_impossible_requests_are_refused():
    with pytest.raises(ValueError, match="at least one value"):
        student_interval([])
    with pytest.raises(ValueError, match="level must be above 0 and below 1, got 95"):
        student_interval([1.0, 2.0], level=95.0)
    with pytest.raises(ValueError, match="degrees_of_freedom must be at least 1, got 0"):
        student_t_quantile(0)
