"""Mutual information and its gap: by hand, against scikit-learn pair by pair, and at the limits."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mutual_info_score

from seethrough.metrics import (
    best_normalised_information,
    factor_entropies,
    mig,
    mutual_information,
    mutual_information_gap,
    shuffled_gap,
)


def information_by_pairs(codes: torch.Tensor, factors: torch.Tensor, n_bins: int) -> np.ndarray:
    """The published procedure: bin each code, then one score per pair of code and factor."""
    result = np.zeros((codes.shape[1], factors.shape[1]))
    for i, code in enumerate(codes.double().numpy().T):
        binned = np.digitize(code, np.histogram(code, n_bins)[1][:-1])
        for j, factor in enumerate(factors.numpy().T):
            result[i, j] = mutual_info_score(factor, binned)
    return result


def gap_by_pairs(codes: torch.Tensor, factors: torch.Tensor, n_bins: int) -> float:
    information = np.sort(information_by_pairs(codes, factors, n_bins), axis=0)[::-1]
    entropies = np.array([mutual_info_score(factor, factor) for factor in factors.numpy().T])
    return float(np.mean((information[0] - information[1]) / entropies))


def sample(n: int, n_codes: int, sizes: tuple[int, ...], seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack([torch.randint(0, s, (n,), generator=generator) for s in sizes], dim=1)
    mixing = torch.randn(len(sizes), n_codes, generator=generator)
    noise = torch.randn(n, n_codes, generator=generator)
    return (factors / torch.tensor(sizes)) @ mixing + 0.3 * noise, factors


def test_by_hand():
    # Four samples, factor a = 0 0 1 1, factor b = 0 1 0 1, two bins per code.
    # Code 0 = a exactly: I = H = log 2 with a, 0 with b.
    # Code 1 = 0 0 0 1 (bins), with a: pairs (0,0) 2, (0,1) 1, (1,1) 1, so
    # I = 1/2 log((1/2)/(3/8)) + 1/4 log((1/4)/(3/8)) + 1/4 log((1/4)/(1/8)), the same with b.
    factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    codes = torch.tensor([[-3.0, 0.0], [-3.0, 1.0], [5.0, 2.0], [5.0, 9.0]])
    part = 0.5 * math.log(4 / 3) + 0.25 * math.log(2 / 3) + 0.25 * math.log(2)
    expected = torch.tensor([[math.log(2), 0.0], [part, part]], dtype=torch.float64)
    torch.testing.assert_close(mutual_information(codes, factors, n_bins=2), expected)
    gap = ((math.log(2) - part) / math.log(2) + part / math.log(2)) / 2
    assert float(mutual_information_gap(codes, factors, n_bins=2)) == pytest.approx(gap)
    best = [1.0, part / math.log(2)]
    assert best_normalised_information(codes, factors, n_bins=2).tolist() == pytest.approx(best)
    assert factor_entropies(factors).tolist() == pytest.approx([math.log(2)] * 2)


def test_equals_scikit_learn_at_full_size():
    codes, factors = sample(10_000, 24, (3, 6, 40, 32, 32))
    codes[:, 3] = codes[:, 3].relu()
    codes[:, 4] = 7.0
    difference = mutual_information(codes, factors).numpy() - information_by_pairs(
        codes, factors, 20
    )
    assert np.abs(difference).max() < 1e-9
    assert float(mutual_information_gap(codes, factors)) == pytest.approx(
        gap_by_pairs(codes, factors, 20), abs=1e-9
    )


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    n=st.integers(1, 300),
    n_codes=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 300), min_size=1, max_size=6).map(tuple),
    n_bins=st.integers(1, 25),
    seed=st.integers(0, 1000),
)
def test_equals_scikit_learn(n, n_codes, sizes, n_bins, seed):
    codes, factors = sample(n, n_codes, sizes, seed)
    information = mutual_information(codes, factors, n_bins)
    assert information.shape == (n_codes, len(sizes))
    expected = information_by_pairs(codes, factors, n_bins)
    assert np.abs(information.numpy() - expected).max() < 1e-9


@pytest.mark.parametrize("cells", [1, 4000, 9000])
def test_block_sizes_do_not_matter(monkeypatch, cells):
    codes, factors = sample(300, 7, (3, 5, 40))
    whole = mutual_information(codes, factors)
    monkeypatch.setattr(mig, "MAX_CELLS", cells)
    assert torch.equal(mutual_information(codes, factors), whole)


def independent_factors() -> torch.Tensor:
    """All combinations of 4 and 5 classes, each 20 times."""
    return torch.cartesian_prod(torch.arange(4), torch.arange(5)).repeat(20, 1)


def test_perfect_code_has_gap_one():
    factors = independent_factors()
    assert float(mutual_information_gap(factors.double() * 2 - 3, factors)) == pytest.approx(1.0)


def test_useless_code_has_gap_near_zero():
    factors = independent_factors().repeat(25, 1)
    codes = torch.randn(len(factors), 10, generator=torch.Generator().manual_seed(0))
    # Bias about (20 - 1)(5 - 1) / (2 n) = 0.004 nats per code; the gap is a difference of two.
    assert 0 <= float(mutual_information_gap(codes, factors)) < 0.005


def test_duplicated_code_has_gap_zero_but_full_best_information():
    factors = independent_factors()
    codes = torch.cat([factors, factors], dim=1).float()
    assert float(mutual_information_gap(codes, factors)) == 0.0
    assert best_normalised_information(codes, factors).tolist() == pytest.approx([1.0, 1.0])


def test_constant_codes_share_exactly_nothing():
    codes, factors = sample(1000, 4, (3, 7))
    codes[:, 1:] = torch.tensor([0.0, -2.5, 1e30])
    assert torch.equal(mutual_information(codes, factors)[1:], torch.zeros(3, 2).double())


def test_monotone_relabelling_and_affine_codes_change_nothing():
    codes, factors = sample(500, 3, (4, 6))
    whole = mutual_information(codes.double(), factors)
    relabelled = torch.tensor([[7, 3, 5, 0]]).T[factors[:, 0]]
    again = mutual_information(codes.double() * 4 - 1, torch.cat([relabelled, factors[:, 1:]], 1))
    torch.testing.assert_close(again, whole, rtol=0, atol=1e-12)


def test_order_of_samples_does_not_matter():
    codes, factors = sample(500, 3, (4, 6))
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    expected = mutual_information(codes, factors)
    assert torch.equal(mutual_information(codes[order], factors[order]), expected)


def test_class_numbers_far_above_the_sample_count():
    codes, factors = sample(50, 2, (3,))
    sparse = factors * 10_000_000_000 + 5
    torch.testing.assert_close(
        mutual_information(codes, sparse), mutual_information(codes, factors)
    )


def test_shuffled_control_repeats_with_its_seed_and_loses_the_factor():
    factors = independent_factors()
    codes = factors.float()
    control = [
        float(shuffled_gap(codes, factors, torch.Generator().manual_seed(seed)))
        for seed in (3, 3, 4)
    ]
    assert control[0] == control[1] != control[2]
    assert max(control) < 0.1 < float(mutual_information_gap(codes, factors))


def test_inputs_are_left_alone():
    codes, factors = sample(100, 3, (4, 6))
    before = codes.clone(), factors.clone()
    mutual_information_gap(codes, factors)
    assert torch.equal(codes, before[0])
    assert torch.equal(factors, before[1])


def test_what_cannot_be_scored_is_refused():
    codes, factors = sample(20, 3, (4, 6))
    with pytest.raises(ValueError, match="must be finite"):
        mutual_information(torch.where(codes > 1e9, codes, math.nan), factors)
    with pytest.raises(ValueError, match="at least 2 codes, got 1"):
        mutual_information_gap(codes[:, :1], factors)
    with pytest.raises(ValueError, match=r"constant columns \[1\]"):
        mutual_information_gap(codes, torch.stack([factors[:, 0], torch.ones(20).long()], 1))
    with pytest.raises(ValueError, match="0 or above, got -1"):
        mutual_information(codes, factors - 1 - factors.min())
    with pytest.raises(ValueError, match="n_bins must be at least 1, got 0"):
        mutual_information(codes, factors, n_bins=0)
    with pytest.raises(ValueError, match=r"got shape \(0, 2\)"):
        mutual_information(codes[:0], factors[:0])
    with pytest.raises(ValueError, match="codes need at least one column"):
        mutual_information(codes[:, :0], factors)


def test_different_sample_counts_are_refused(no_shape_checks):
    codes, factors = sample(20, 3, (4, 6))
    with pytest.raises(ValueError, match="equal sample counts, got 20 and 19"):
        mutual_information_gap(codes, factors[:19])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu():
    codes, factors = sample(5000, 300, (3, 6, 40, 32, 32))
    on_gpu = mutual_information(codes.cuda(), factors.cuda()).cpu()
    torch.testing.assert_close(on_gpu, mutual_information(codes, factors), rtol=0, atol=1e-12)
