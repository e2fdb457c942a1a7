"""Information on factors: by hand, from the definition, perfect, useless and duplicated units."""

import pytest
import torch
from sklearn.metrics import mutual_info_score

from seethrough.metrics import equal_width_bins
from seethrough.metrics.information_scores import shuffled
from seethrough.neurons.factor_information import factor_information


def independent_factors() -> torch.Tensor:
    """All combinations of 4 and 5 classes, each 50 times."""
    return torch.cartesian_prod(torch.arange(4), torch.arange(5)).repeat(50, 1)


def test_by_hand():
    # Factors a = 0 0 1 1 and b = 0 1 0 1, H = log 2 each. Units: a itself; the sum a + b, which
    # knows half of either; b below 0 (it need not fire); constant.
    factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    a, b = factors.double().T
    found = factor_information(torch.stack([a, a + b, -b - 1, 0 * a], dim=1), factors)
    expected = torch.tensor([[1, 0], [0.5, 0.5], [0, 1], [0, 0]], dtype=torch.float64)
    torch.testing.assert_close(found.normalised, expected)
    assert found.best.tolist() == pytest.approx([1, 0.5, 1, 0])
    assert found.gap.tolist() == pytest.approx([1, 0, 1, 0])
    assert found.factor.tolist() == [0, 0, 1, 0]


def test_equals_the_definition_unit_by_unit():
    factors = independent_factors()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1000, 6, generator=generator)
    activations = factors.float() @ torch.randn(2, 6, generator=generator) + noise
    found = factor_information(activations, factors)
    for unit in range(6):
        binned = equal_width_bins(activations[:, unit][None])[0]
        shares = sorted(
            mutual_info_score(column, binned) / mutual_info_score(column, column)
            for column in factors.T
        )
        assert found.best[unit].item() == pytest.approx(shares[1])
        assert found.gap[unit].item() == pytest.approx(shares[1] - shares[0])


def test_perfect_useless_and_duplicated_units():
    factors = independent_factors()
    torch.testing.assert_close(
        factor_information(factors.double(), factors).gap, torch.ones(2).double()
    )
    assert torch.all(factor_information(torch.ones(1000, 3), factors).gap == 0)
    twice = factor_information(factors.double().repeat(1, 2), factors)
    assert torch.equal(twice.gap[:2], twice.gap[2:])  # a gap per unit does not mind duplicates
    control = factor_information(
        factors.double(), shuffled(factors, torch.Generator().manual_seed(0))
    )
    assert torch.all(control.gap < 0.05)


def test_what_cannot_be_scored_is_refused():
    factors = independent_factors()
    with pytest.raises(ValueError, match="at least 2 factors, got 1"):
        factor_information(factors.double(), factors[:, :1])
    with pytest.raises(ValueError, match=r"constant columns \[1\]"):
        factor_information(factors.double(), factors * torch.tensor([1, 0]))
