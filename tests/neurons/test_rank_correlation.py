"""Rank correlation equals SciPy's, row by row."""

import pytest
import torch
from scipy.stats import spearmanr

from seethrough.neurons.rank_correlation import rank_correlation


def test_by_hand():
    # Ranks 1 2 3 4 against 2 1 4 3: 1 - 6 sum d^2 / (n (n^2 - 1)) = 1 - 6 x 4 / 60 = 0.6.
    first = torch.tensor([[1.0, 2.0, 3.0, 4.0]])
    second = torch.tensor([[0.2, 0.1, 9.0, 0.5]])
    assert rank_correlation(first, second).item() == pytest.approx(0.6)


@pytest.mark.parametrize("values", [3, 1000])  # with many ties, with few
def test_equals_scipy(values):
    generator = torch.Generator().manual_seed(values)
    first, second = torch.randint(values, (2, 6, 25), generator=generator).float()
    expected = [spearmanr(*pair).statistic for pair in zip(first, second, strict=True)]
    assert rank_correlation(first, second).tolist() == pytest.approx(expected)


def test_rising_and_falling_functions_change_nothing_but_the_sign():
    first = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    assert rank_correlation(first, first.exp()).tolist() == pytest.approx([1, 1, 1])
    assert rank_correlation(first, -first.exp()).tolist() == pytest.approx([-1, -1, -1])


def test_constant_rows_and_nan_have_no_correlation():
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, torch.nan, 3.0], [1.0, 2.0, 3.0]])
    other = torch.tensor([[1.0, 2.0, 3.0]]).expand(3, 3)
    for found in (rank_correlation(rows, other), rank_correlation(other, rows)):
        assert found.isnan().tolist() == [True, True, False]
