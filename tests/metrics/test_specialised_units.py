"""Specialised units: by hand, unit by unit from the definition, and at the limits."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from seethrough.metrics import equal_width_bins, random_code, specialised_units
from seethrough.metrics.information_scores import shuffled


def independent_factors() -> torch.Tensor:
    """All combinations of 4 and 5 classes, each 50 times."""
    return torch.cartesian_prod(torch.arange(4), torch.arange(5)).repeat(50, 1)


def sample(n: int, n_codes: int, sizes: tuple[int, ...], seed: int):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(0, s, (n,), generator=generator) for s in sizes], dim=1)
    factors[: max(sizes)] = torch.arange(max(sizes))[:, None] % torch.tensor(sizes)
    mixing = torch.randn(len(sizes), n_codes, generator=generator)
    noise = torch.randn(n, n_codes, generator=generator)
    return ((factors / torch.tensor(sizes)) @ mixing + 0.1 * noise - 0.3).relu(), factors


def test_by_hand():
    # Factors a = 0 0 1 1 and b = 0 1 0 1, H = log 2 each. Units: a itself (I = H, 0); the sum
    # a + b, in bins 0 1 1 2: I(sum, a) = H(sum) - H(sum | a) = 1.5 log 2 - log 2 = H / 2, the same
    # with b; -a, never above 0; b, but constant offset; dead.
    factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    a, b = factors.double().T
    codes = torch.stack([a, a + b, -a, b + 5, torch.zeros(4).double()], dim=1)
    units = specialised_units(codes, factors)
    assert units.specialised.tolist() == [True, False, False, True, False]
    assert units.alive.tolist() == [True, True, False, True, False]
    assert units.factor.tolist() == [0, 0, 0, 1, 0]
    expected = torch.tensor([[1, 0], [0.5, 0.5], [1, 0], [0, 1], [0, 0]], dtype=torch.float64)
    torch.testing.assert_close(units.normalised, expected)
    assert (units.n_specialised, units.n_alive, units.factors_covered) == (2, 3, 2)
    assert units.units_per_factor.tolist() == [1, 1]


@settings(deadline=None, derandomize=True, max_examples=12)
@given(
    n=st.integers(12, 100),
    n_codes=st.integers(1, 8),
    sizes=st.lists(st.integers(2, 12), min_size=1, max_size=4).map(tuple),
    least=st.sampled_from([0.0, 0.1, 0.5]),
    ratio=st.sampled_from([1.0, 2.0]),
    seed=st.integers(0, 999),
)
def test_equals_the_definition_unit_by_unit(n, n_codes, sizes, least, ratio, seed):
    codes, factors = sample(n, n_codes, sizes, seed)
    units = specialised_units(codes, factors, least_information=least, least_ratio=ratio)
    for unit in range(n_codes):
        binned = equal_width_bins(codes[:, unit][None])[0]
        shares = [
            mutual_info_score(column, binned) / mutual_info_score(column, column)
            for column in factors.T
        ]
        ranked = sorted(shares, reverse=True)
        second = ranked[1] if len(ranked) > 1 else 0.0
        if min(abs(ranked[0] - least), abs(ranked[0] - ratio * second)) < 1e-9:
            continue  # on the threshold, where rounding decides
        alive = bool((codes[:, unit] > 0).any())
        expected = alive and ranked[0] > least and ranked[0] > ratio * second
        assert bool(units.specialised[unit]) == expected
        assert shares[int(units.factor[unit])] == pytest.approx(ranked[0])


def test_perfect_useless_and_duplicated_codes():
    factors = independent_factors()
    perfect = specialised_units(factors.double(), factors)
    assert (perfect.n_specialised, perfect.factors_covered) == (2, 2)
    useless = specialised_units(torch.ones(len(factors), 3), factors)
    assert (useless.n_specialised, useless.n_alive, useless.factors_covered) == (0, 3, 0)
    doubled = specialised_units(factors.double().repeat(1, 2), factors)
    assert (doubled.n_specialised, doubled.factors_covered) == (4, 2)
    assert doubled.units_per_factor.tolist() == [2, 2]


def test_controls_leave_no_specialised_unit():
    factors = independent_factors()
    codes, generator = factors.double(), torch.Generator().manual_seed(0)
    # Bias (20 - 1)(5 - 1) / (2 x 1000) = 0.04 nats of 1.6, far below a tenth.
    assert specialised_units(codes, shuffled(factors, generator)).n_specialised == 0
    assert specialised_units(random_code(codes, generator), factors).n_specialised == 0


def test_thresholds_include_equality():
    factors = independent_factors()[:, :1].repeat(1, 2)  # twice the same factor: the ratio is 1
    codes = factors[:, :1].double()
    most = float(specialised_units(codes, factors).normalised.max())
    assert specialised_units(codes, factors, least_ratio=1.0).n_specialised == 1
    assert specialised_units(codes, factors, least_ratio=1.01).n_specialised == 0
    alone = factors[:, :1]
    assert specialised_units(codes, alone, least_information=most).n_specialised == 1
    above = math.nextafter(most, 2.0)
    assert specialised_units(codes, alone, least_information=above).n_specialised == 0


def test_a_unit_that_knows_nothing_is_not_specialised_at_threshold_zero():
    factors = independent_factors()
    constant = torch.ones(len(factors), 1)
    assert specialised_units(constant, factors, least_information=0.0).n_specialised == 0


def test_what_cannot_be_scored_is_refused():
    factors = independent_factors()
    codes = factors.double()
    with pytest.raises(ValueError, match=r"constant columns \[1\]"):
        specialised_units(codes, factors * torch.tensor([1, 0]))
    with pytest.raises(ValueError, match="got -0.1 and 2.0"):
        specialised_units(codes, factors, least_information=-0.1)
    with pytest.raises(ValueError, match="got 0.1 and 0.5"):
        specialised_units(codes, factors, least_ratio=0.5)
    with pytest.raises(ValueError, match="must be finite"):
        specialised_units(codes / 0, factors)
