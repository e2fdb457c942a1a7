import math

import pytest
import torch

from seethrough.studies.circuit_ratios import (
    AVERAGES,
    drawn,
    geometric_mean,
    mean_change,
    mean_of_ratios,
    ratio_of_means,
    usable,
    with_interval,
)

NAN = math.nan
# Two seeds by two tasks. Ratios 4, 1, 1 and 1/4.
DENSE = torch.tensor([[8.0, 2.0], [3.0, 1.0]], dtype=torch.float64)
SPARSE = torch.tensor([[2.0, 2.0], [3.0, 4.0]], dtype=torch.float64)


def test_the_three_means_by_hand() -> None:
    x, y = DENSE.flatten(), SPARSE.flatten()
    assert float(ratio_of_means(x, y)) == pytest.approx(14 / 11)
    assert float(mean_of_ratios(x, y)) == pytest.approx((4 + 1 + 1 + 0.25) / 4)
    # 4 and 1/4 cancel on the logarithmic scale.
    assert float(geometric_mean(x, y)) == pytest.approx(1.0)
    assert float(mean_change(x, y)) == pytest.approx(-3 / 4)


def test_a_pair_that_is_missing_in_either_is_left_out_of_both() -> None:
    sparse = SPARSE.clone()
    sparse[0, 0] = NAN
    value, _, _ = with_interval(ratio_of_means, DENSE, sparse)
    assert value == pytest.approx((2 + 3 + 1) / (2 + 3 + 4))


@pytest.mark.parametrize("name", AVERAGES)
def test_an_interval_is_that_of_resampled_seeds_and_tasks(name: str) -> None:
    statistic = AVERAGES[name]
    value, low, high = with_interval(statistic, DENSE, SPARSE, seed=3)
    rows, columns = drawn(2, 2, seed=3)
    # Replica: one resample at a time, by loops.
    found = []
    for seeds, tasks in zip(rows[:200].tolist(), columns[:200].tolist(), strict=True):
        pairs = [(float(DENSE[s, t]), float(SPARSE[s, t])) for s in seeds for t in tasks]
        x, y = torch.tensor(pairs, dtype=torch.float64).T
        found.append(float(statistic(x, y)))
    assert low <= value <= high
    assert low <= sorted(found)[100] <= high
    # With two of each, one draw in sixteen is the pair (0, 0) alone: the ends are reached.
    assert low == pytest.approx(0.25)
    assert high == pytest.approx(4.0)
    assert with_interval(statistic, DENSE, SPARSE, seed=3) == (value, low, high)


def test_equal_ratios_have_no_width() -> None:
    value, low, high = with_interval(geometric_mean, 3 * SPARSE, SPARSE)
    assert (value, low, high) == pytest.approx((3.0, 3.0, 3.0))


def test_few_pairs_have_no_interval_and_none_no_value() -> None:
    value, low, high = with_interval(geometric_mean, DENSE[:1, :1], SPARSE[:1, :1])
    assert value == pytest.approx(4.0)
    assert math.isnan(low)
    assert math.isnan(high)
    nothing = torch.full((2, 2), NAN, dtype=torch.float64)
    assert all(map(math.isnan, with_interval(geometric_mean, nothing, SPARSE)))


def test_collapsed_circuits_and_missed_targets_cannot_be_compared() -> None:
    edges = torch.tensor([[5.0, 0.0], [3.0, 2.0]], dtype=torch.float64)
    reached = torch.tensor([[1.0, 1.0], [0.0, 1.0]], dtype=torch.float64)
    found = usable(edges, torch.ones_like(edges), [reached])
    assert found.isnan().tolist() == [[False, True], [True, False]]
    assert usable(torch.ones_like(edges), edges, []).isnan().sum() == 1
