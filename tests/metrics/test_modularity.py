"""Modularity: by hand, from the definition by deviation from a template, and at the limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.metrics import modularity, modularity_per_unit, mutual_information


def independent_factors() -> torch.Tensor:
    """All combinations of 4 and 5 classes, each 20 times."""
    return torch.cartesian_prod(torch.arange(4), torch.arange(5)).repeat(20, 1)


def by_template(information: torch.Tensor) -> list[float]:
    """The published definition: 1 - squared deviation from the unit's own one-factor template."""
    result = []
    for row in information.tolist():
        most = max(row)
        template = [most if place == row.index(most) else 0.0 for place in range(len(row))]
        deviation = sum((value - part) ** 2 for value, part in zip(row, template, strict=True))
        result.append(1 - deviation / (most**2 * (len(row) - 1)) if most > 0 else math.nan)
    return result


def test_by_hand():
    # Row 1: 1 - (3^2 + 1^2 + 1^2 - 3^2) / (3^2 x 2) = 1 - 2/18. Row 2: all equal. Row 3: nothing.
    per_unit = modularity_per_unit(torch.tensor([[3.0, 1, 1], [2, 2, 2], [0, 0, 0]]))
    assert per_unit.tolist() == pytest.approx([8 / 9, 0, math.nan], nan_ok=True)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(n_codes=st.integers(1, 6), n_factors=st.integers(2, 6), seed=st.integers(0, 999))
def test_equals_the_definition(n_codes, n_factors, seed):
    generator = torch.Generator().manual_seed(seed)
    information = torch.randn(n_codes, n_factors, generator=generator).relu().double()
    per_unit = modularity_per_unit(information).tolist()
    assert per_unit == pytest.approx(by_template(information), nan_ok=True)


def test_perfect_and_duplicated_codes_are_modular():
    factors = independent_factors()
    for copies in (1, 3):
        scores = modularity(factors.double().repeat(1, copies), factors)
        assert (scores.all_units, scores.live_units) == (1.0, 1.0)
        assert scores.n_live == 2 * copies


def test_a_constant_code_has_none():
    scores = modularity(torch.ones(400, 3), independent_factors())
    assert (scores.all_units, scores.n_live) == (0.0, 0)
    assert math.isnan(scores.live_units)


@pytest.mark.parametrize("copies", [100, 400])
def test_a_random_code_is_far_from_none_however_many_images(copies):
    """The trap: what is left of information by chance belongs to one of the factors, at random.

    A code in 2 bins that is independent of two factors of 3 classes: 2 N times its estimated
    information is chi-squared with (2 - 1)(3 - 1) = 2 degrees of freedom, which is exponential,
    independently for the two. The ratio r of the smaller to the larger of two such has
    P(r > t) = 1 - 2t / (1 + t), so the mean of r^2 is the integral of 2t (1 - t) / (1 + t) from 0
    to 1, 3 - 4 ln 2. Modularity is 1 - r^2, on average 4 ln 2 - 2 = 0.77. N has cancelled: more
    images make the information small, and not the modularity.
    """
    factors = torch.cartesian_prod(torch.arange(3), torch.arange(3)).repeat(copies, 1)
    codes = torch.rand(len(factors), 2000, generator=torch.Generator().manual_seed(0))
    scores = modularity(codes, factors, n_bins=2)
    # 1 - r^2 has a standard deviation of 0.28: 0.006 for the mean of 2000 units.
    assert scores.all_units == pytest.approx(4 * math.log(2) - 2, abs=0.025)
    assert float(mutual_information(codes, factors, n_bins=2).mean()) < 2 / len(factors)


@pytest.mark.parametrize("copies", [1, 16])
def test_a_random_code_prefers_the_factor_of_more_classes(copies):
    """In 20 bins, chance information is (20 - 1)(classes - 1) / (2 N): 57 to 76 for 4 and 5.

    Were it always its mean, modularity would be 1 - (57 / 76)^2 = 0.4375. It scatters by a sixth,
    which moves the mean over units by less than 0.02.
    """
    factors = independent_factors().repeat(copies, 1)
    codes = torch.rand(len(factors), 1000, generator=torch.Generator().manual_seed(0))
    assert modularity(codes, factors).live_units == pytest.approx(1 - (57 / 76) ** 2, abs=0.03)


def test_dead_units_lower_one_mean_and_not_the_other():
    factors = independent_factors()
    scores = modularity(torch.cat([factors.double(), torch.zeros(400, 6)], dim=1), factors)
    assert (scores.all_units, scores.live_units, scores.n_live) == (0.25, 1.0, 2)


def test_means_are_those_of_the_units():
    factors = independent_factors()
    codes = torch.randn(400, 7, generator=torch.Generator().manual_seed(0)) + factors[:, :1]
    expected = by_template(mutual_information(codes, factors))
    assert modularity(codes, factors).all_units == pytest.approx(sum(expected) / 7)


def test_scale_of_the_information_does_not_matter():
    information = torch.rand(5, 3, generator=torch.Generator().manual_seed(0)).double()
    tiny = modularity_per_unit(information * 1e-200)  # whose squares are 0
    torch.testing.assert_close(tiny, modularity_per_unit(information))


def test_one_factor_is_refused():
    with pytest.raises(ValueError, match="at least 2 factors, got 1"):
        modularity(torch.ones(400, 3), independent_factors()[:, :1])
