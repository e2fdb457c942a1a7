import math
import random

import pytest
from scipy.stats import kendalltau  # type: ignore[import-untyped]

from seethrough.metrics.rank_correlation import kendall_tau


def test_one_swap_in_four() -> None:
    """Six pairs, one of them discordant: (5 - 1) / 6."""
    assert kendall_tau([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 4.0, 3.0]) == pytest.approx(4 / 6)


def test_a_tie_on_one_side() -> None:
    """Pairs: (1,2) tied in the first list, two concordant; 2 / sqrt(2 x 3)."""
    assert kendall_tau([1.0, 1.0, 2.0], [1.0, 2.0, 3.0]) == pytest.approx(2 / math.sqrt(6))


@pytest.mark.parametrize("seed", range(5))
def test_as_scipy_counts(seed: int) -> None:
    draw = random.Random(seed)
    first = [float(draw.randint(0, 5)) for _ in range(12)]
    second = [float(draw.randint(0, 5)) for _ in range(12)]
    expected = kendalltau(first, second).statistic
    assert kendall_tau(first, second) == pytest.approx(expected, abs=1e-12)


def test_reversal_and_symmetry() -> None:
    values = [3.0, 1.0, 2.0, 5.0]
    assert kendall_tau(values, [-value for value in values]) == pytest.approx(-1)
    assert kendall_tau(values, [2.0, 1.0, 5.0, 3.0]) == kendall_tau([2.0, 1.0, 5.0, 3.0], values)


def test_no_ranking_gives_nan() -> None:
    assert math.isnan(kendall_tau([1.0, 1.0], [1.0, 2.0]))
    assert math.isnan(kendall_tau([], []))


def test_wrong_input_is_refused() -> None:
    with pytest.raises(ValueError, match="equal lengths, got 1 and 2"):
        kendall_tau([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="got NaN"):
        kendall_tau([1.0, math.nan], [1.0, 2.0])
