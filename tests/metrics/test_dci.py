"""DCI: the entropies by hand and row by row, the forest on codes whose importances are known."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.metrics import dci_completeness, dci_disentanglement, dci_scores, halves
from seethrough.metrics.information_scores import shuffled


def independent_factors() -> torch.Tensor:
    """All combinations of 3 and 4 classes, each 30 times."""
    return torch.cartesian_prod(torch.arange(3), torch.arange(4)).repeat(30, 1)


def noise(n_codes: int) -> torch.Tensor:
    return torch.randn(360, n_codes, generator=torch.Generator().manual_seed(0))


def concentration_by_rows(importance: np.ndarray) -> float:
    """Sum over rows of the row's share of all importance times 1 - its entropy to base columns."""
    total = 0.0
    for row in importance:
        entropy = 0.0
        for value in row:
            if value > 0:
                entropy -= value / row.sum() * math.log(value / row.sum(), importance.shape[1])
        total += row.sum() / importance.sum() * (1 - entropy)
    return total


def test_by_hand():
    # Rows (1, 1) with entropy 1 and weight 2/4, (0, 2) with entropy 0 and weight 2/4: D = 1/2.
    # Columns (1, 0, 0) with entropy 0 and weight 1/4, (1, 2, 0) with weight 3/4 and entropy
    # (1/3 log 3 + 2/3 log 3/2) / log 3 = 1 - 2/3 log 2 / log 3: C = 1/4 + 3/4 x 2/3 log 2 / log 3.
    importance = torch.tensor([[1.0, 1], [0, 2], [0, 0]])
    assert float(dci_disentanglement(importance)) == pytest.approx(0.5)
    expected = 0.25 + 0.5 * math.log(2) / math.log(3)
    assert float(dci_completeness(importance)) == pytest.approx(expected)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(n_codes=st.integers(2, 8), n_factors=st.integers(2, 6), seed=st.integers(0, 999))
def test_equals_the_definition_row_by_row(n_codes, n_factors, seed):
    generator = torch.Generator().manual_seed(seed)
    importance = torch.randn(n_codes, n_factors, generator=generator).relu().double()
    importance[0, 0] = 1
    for score, rows in (
        (dci_disentanglement(importance), importance.numpy()),
        (dci_completeness(importance), importance.numpy().T),
    ):
        assert float(score) == pytest.approx(concentration_by_rows(rows), abs=1e-12)
        assert 0 <= float(score) <= 1


def test_no_importance_scores_nothing():
    assert float(dci_disentanglement(torch.zeros(3, 2))) == 0
    assert float(dci_completeness(torch.zeros(3, 2))) == 0


def test_a_perfect_code_scores_one():
    factors = independent_factors()
    scores = dci_scores(halves(factors.double(), factors, 0), seed=0)
    assert scores.disentanglement == pytest.approx(1)
    assert scores.completeness == pytest.approx(1)
    assert scores.informativeness == 1
    torch.testing.assert_close(scores.importance, torch.eye(2).double())


def test_units_that_are_dead_or_noise_leave_a_perfect_code_near_one():
    factors = independent_factors()
    codes = torch.cat([factors.float(), torch.zeros(360, 200), noise(50)], dim=1)
    scores = dci_scores(halves(codes, factors, 0), seed=0)
    assert min(scores.disentanglement, scores.completeness, scores.informativeness) > 0.95
    assert not bool(scores.importance[2:202].any())


def test_a_duplicated_code_is_disentangled_and_half_complete():
    factors = independent_factors()
    scores = dci_scores(halves(factors.double().repeat(1, 2), factors, 0), seed=0, n_trees=50)
    assert scores.disentanglement == pytest.approx(1)
    # Two of four codes share each factor: 1 - log 2 / log 4 = 1/2, were they chosen equally often.
    assert scores.completeness == pytest.approx(0.5, abs=0.05)
    assert scores.informativeness == 1


def test_a_useless_code_knows_nothing():
    factors = independent_factors()
    dead = dci_scores(halves(torch.ones(360, 3), factors, 0), seed=0)
    assert (dead.disentanglement, dead.completeness) == (0, 0)
    assert not bool(dead.importance.any())
    random = dci_scores(halves(noise(10), factors, 0), seed=0)
    # 180 test images: standard deviation sqrt(0.3 x 0.7 / 180) = 0.034 per factor.
    assert random.informativeness == pytest.approx((1 / 3 + 1 / 4) / 2, abs=0.08)
    assert random.disentanglement < 0.1


def test_shuffled_factors_lose_everything_but_completeness_of_few_units():
    factors = independent_factors()
    others = shuffled(factors, torch.Generator().manual_seed(0))
    scores = dci_scores(halves(factors.double(), others, 0), seed=0)
    assert scores.disentanglement < 0.1
    assert scores.informativeness < 0.45


def test_scale_and_offset_change_nothing_and_the_seed_decides():
    factors = independent_factors()
    codes = noise(6).double() + factors[:, :1]
    first, again, other = (
        dci_scores(halves(x, factors, 0), seed=seed)
        for x, seed in ((codes, 0), (codes * 4 + 2**20, 0), (codes, 1))
    )
    assert torch.equal(first.importance, again.importance)
    assert not torch.equal(first.importance, other.importance)


def test_what_cannot_be_scored_is_refused():
    factors = independent_factors()
    with pytest.raises(ValueError, match=r"2 codes and 2 factors, got shape \(1, 2\)"):
        dci_disentanglement(torch.ones(1, 2))
    with pytest.raises(ValueError, match="finite and 0 or above"):
        dci_completeness(torch.tensor([[1.0, -1.0], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="n_trees must be at least 1, got 0"):
        dci_scores(halves(noise(3), factors, 0), seed=0, n_trees=0)
    with pytest.raises(ValueError, match="at least 2 codes and 2 factors"):
        dci_scores(halves(noise(3), factors[:, :1], 0), seed=0)
