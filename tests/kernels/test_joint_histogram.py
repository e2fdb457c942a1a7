"""Joint counts against one-hot products, and codes against their bins."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from seethrough.kernels import joint_histogram_cpu
from seethrough.kernels.bin_grid import BinGrid
from seethrough.kernels.joint_histogram import (
    joint_histogram,
    joint_histogram_of_codes,
    joint_histogram_reference,
)
from seethrough.metrics.equal_width_bins import EqualWidthGrid

SIZES = (3, 1, 300, 6, 2)


def some_factors(n_samples: int, sizes: tuple[int, ...] = SIZES) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randint(0, size, (n_samples,), generator=generator) for size in sizes]
    return torch.stack(columns, dim=1)


def some_bins(n_samples: int, n_latents: int, n_bins: int) -> Tensor:
    """Return bins that are even, constant, and mostly the first, latent after latent."""
    generator = torch.Generator().manual_seed(2)
    bins = torch.randint(0, n_bins, (n_samples, n_latents), generator=generator)
    bins[:, 1::3] = n_bins - 1
    away = torch.rand(n_samples, n_latents, generator=generator) < 0.03
    bins[:, 2::3] *= away[:, 2::3]
    return bins


def some_codes(n_samples: int) -> Tensor:
    """Return codes of every kind: normal, sparse, constant, on edges, far off, narrow, huge."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(n_samples, 9, generator=generator, dtype=torch.float64)
    whole = (4 * x[:, 3]).round().clamp(-10, 10)
    far, narrow = 1e3 + x[:, 4], 1e6 + 1e-1 * x[:, 5].clamp(-2, 2)
    sparse = (x[:, 1] - 2).relu()
    below = -(x[:, 6] - 2).relu()  # at its largest value almost everywhere
    columns = [
        x[:, 0],
        sparse,
        torch.full_like(far, -2.5),
        whole,
        far,
        narrow,
        below,
        1e30 * x[:, 7],
    ]
    return torch.stack([*columns, torch.zeros_like(far)], dim=1)


def assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == torch.int64
        assert torch.equal(one, other)


def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every loop over blocks run several times, with a rest."""
    limits = {"TILE": 50, "SWEEP": 70, "BLOCK_LATENTS": 2, "BLOCK_SAMPLES": 90, "COPY_SAMPLES": 7}
    for name, limit in limits.items():
        monkeypatch.setattr(joint_histogram_cpu, name, limit)


def test_by_hand() -> None:
    # Latent 0 has bins 0, 1, 1, 2 and latent 1 has 1, 0, 0, 1. Classes of the factor: 1, 0, 1, 0.
    # Latent 0: bin 0 meets class 1; bin 1 meets 0 and 1; bin 2 meets 0. Latent 1: bin 0 meets 0
    # and 1, bin 1 meets 1 and 0, bin 2 nothing.
    bins = torch.tensor([[0, 1], [1, 0], [1, 0], [2, 1]])
    factors = torch.tensor([[1], [0], [1], [0]])
    (counts,) = joint_histogram(bins, factors, 3, [2])
    assert counts.tolist() == [[[0, 1], [1, 1], [1, 0]], [[1, 1], [1, 1], [0, 0]]]


def test_codes_by_hand() -> None:
    # Two bins over 0 to 4 with the edge at 2, which belongs to the right one.
    codes = torch.tensor([[0.0], [2.0], [4.0], [1.5]])
    grid = EqualWidthGrid.of(codes.T, 2)
    (counts,) = joint_histogram_of_codes(codes, torch.tensor([[0], [1], [1], [1]]), grid, [2])
    assert counts.tolist() == [[[1, 1], [0, 2]]]


@pytest.mark.parametrize("n_samples", [1, 2, 57, 211])
@pytest.mark.parametrize("n_bins", [1, 2, 7])
def test_bins_equal_the_reference(n_samples: int, n_bins: int) -> None:
    bins, factors = some_bins(n_samples, 7, n_bins), some_factors(n_samples)
    expected = joint_histogram_reference(bins, factors, n_bins, SIZES)
    assert_equal(joint_histogram(bins, factors, n_bins, SIZES), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("n_bins", [1, 3, 20])
def test_codes_equal_their_bins(dtype: torch.dtype, n_bins: int) -> None:
    codes, factors = some_codes(211).to(dtype), some_factors(211)
    grid = EqualWidthGrid.of(codes.T, n_bins)
    expected = joint_histogram_reference(grid.bins(codes.T).T, factors, n_bins, SIZES)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), expected)


def test_the_codes_hold_what_they_promise() -> None:
    codes = some_codes(211)
    assert bool(EqualWidthGrid.of(codes.T, 20).narrow[5])
    assert isinstance(EqualWidthGrid.of(codes.T, 20), BinGrid)


def test_blocks_do_not_change_the_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    bins, codes, factors = some_bins(211, 7, 5), some_codes(211), some_factors(211)
    grid = EqualWidthGrid.of(codes.T, 20)
    of_bins = joint_histogram(bins, factors, 5, SIZES)
    of_codes = joint_histogram_of_codes(codes, factors, grid, SIZES)
    small_blocks(monkeypatch)
    assert_equal(joint_histogram(bins, factors, 5, SIZES), of_bins)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), of_codes)


@pytest.mark.parametrize("share", [-1.0, 1.0])
def test_what_counts_as_dense_does_not_change_the_counts(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    codes, factors = some_codes(211), some_factors(211)
    grid = EqualWidthGrid.of(codes.T, 20)
    expected = joint_histogram_of_codes(codes, factors, grid, SIZES)
    monkeypatch.setattr(joint_histogram_cpu, "DENSE_SHARE", share)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), expected)


def test_one_count_for_several_factors_does_not_change_the_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bins, factors = some_bins(211, 7, 5), some_factors(211)
    expected = joint_histogram(bins, factors, 5, SIZES)
    for limit in (1, 12, 10_000):
        monkeypatch.setattr(joint_histogram_cpu, "MAX_JOINT_CLASSES", limit)
        assert_equal(joint_histogram(bins, factors, 5, SIZES), expected)


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_any_integers_will_do(dtype: torch.dtype) -> None:
    bins, factors = some_bins(57, 5, 4), some_factors(57, (3, 2))
    expected = joint_histogram_reference(bins, factors, 4, (3, 2))
    assert_equal(joint_histogram(bins.to(dtype), factors.to(dtype), 4, (3, 2)), expected)


def test_codes_and_factors_need_not_be_contiguous() -> None:
    codes, factors = some_codes(211), some_factors(211)
    grid = EqualWidthGrid.of(codes.T, 20)
    expected = joint_histogram_of_codes(codes, factors, grid, SIZES)
    by_latent, by_factor = codes.T.contiguous().T, factors.T.contiguous().T
    assert_equal(joint_histogram_of_codes(by_latent, by_factor, grid, SIZES), expected)
    twice = codes.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    assert_equal(joint_histogram_of_codes(twice[::2, ::2], factors, grid, SIZES), expected)


def test_batches_of_samples_add_up() -> None:
    codes, factors = some_codes(211), some_factors(211)
    low, high = torch.aminmax(codes, dim=0)
    grid = EqualWidthGrid.of(torch.stack([low, high], dim=1), 20)
    expected = joint_histogram_of_codes(codes, factors, EqualWidthGrid.of(codes.T, 20), SIZES)
    parts = [
        joint_histogram_of_codes(codes[some], factors[some], grid, SIZES)
        for some in (slice(0, 100), slice(100, 101), slice(101, 211))
    ]
    assert_equal(tuple(sum(part[1:], part[0]) for part in zip(*parts, strict=True)), expected)


def test_order_of_samples_does_not_matter_and_classes_are_all_counted() -> None:
    bins, factors = some_bins(211, 7, 5), some_factors(211)
    order = torch.randperm(211, generator=torch.Generator().manual_seed(4))
    counts = joint_histogram(bins, factors, 5, SIZES)
    assert_equal(joint_histogram(bins[order], factors[order], 5, SIZES), counts)
    for of_factor, column, size in zip(counts, factors.T, SIZES, strict=True):
        classes = torch.bincount(column, minlength=size)
        assert torch.equal(of_factor.sum(dim=1), classes.expand(7, size))


def test_bins_may_be_renumbered() -> None:
    bins, factors = some_bins(211, 7, 5), some_factors(211)
    renumbered = joint_histogram(4 - bins, factors, 5, SIZES)
    assert_equal(
        tuple(counts.flip(1) for counts in renumbered), joint_histogram(bins, factors, 5, SIZES)
    )


def test_fresh_memory_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    codes, factors = some_codes(211), some_factors(211)
    grid = EqualWidthGrid.of(codes.T, 20)
    expected = joint_histogram_of_codes(codes, factors, grid, SIZES)

    def poisoned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
        wrong = np.nan if np.issubdtype(dtype, np.floating) else -(10**9)
        return np.full(shape, wrong, dtype=dtype)

    monkeypatch.setattr(np, "empty", poisoned)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), expected)


@pytest.mark.parametrize(("n_samples", "n_latents"), [(0, 3), (4, 0), (0, 0)])
def test_nothing_to_count(n_samples: int, n_latents: int) -> None:
    bins = torch.zeros(n_samples, n_latents, dtype=torch.int64)
    (counts,) = joint_histogram(bins, torch.zeros(n_samples, 1, dtype=torch.int64), 5, [2])
    assert counts.shape == (n_latents, 5, 2)
    assert int(counts.sum()) == 0


def test_no_factors_have_no_counts() -> None:
    assert joint_histogram(torch.zeros(4, 3).int(), torch.zeros(4, 0).int(), 5, []) == ()


@pytest.mark.parametrize("wrong", [-1, 5, 2**40])
def test_bins_outside_their_range_are_refused(wrong: int) -> None:
    bins = some_bins(57, 3, 5)
    bins[30, 2] = wrong
    with pytest.raises(ValueError, match=rf"bins go from .*{wrong}.*, allowed are 0 to 4"):
        joint_histogram(bins, some_factors(57), 5, SIZES)


@pytest.mark.parametrize("wrong", [-1, 6])
def test_classes_outside_their_range_are_refused(wrong: int) -> None:
    factors = some_factors(57)
    factors[12, 3] = wrong
    with pytest.raises(ValueError, match=r"allowed are 0 to below \(3, 1, 300, 6, 2\)"):
        joint_histogram(some_bins(57, 3, 5), factors, 5, SIZES)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, -1e-3, 1e-3])
@pytest.mark.parametrize("column", [0, 1, 2, 5, 8])
def test_codes_outside_the_grid_are_refused(wrong: float, column: int) -> None:
    codes = some_codes(57)
    grid = EqualWidthGrid.of(codes.T, 20)
    end = codes[:, column].amin() if wrong < 0 else codes[:, column].amax()
    codes[30, column] = end + wrong
    with pytest.raises(ValueError, match="codes that are NaN or outside the grid"):
        joint_histogram_of_codes(codes, some_factors(57), grid, SIZES)


def test_arguments_that_do_not_fit_are_refused() -> None:
    bins, factors = some_bins(57, 3, 5), some_factors(57)
    with pytest.raises(ValueError, match=r"factors have shape \(56, 5\), allowed is 57 samples"):
        joint_histogram(bins, factors[1:], 5, SIZES)
    with pytest.raises(ValueError, match="allowed is 57 samples and 4 columns"):
        joint_histogram(bins, factors, 5, SIZES[1:])
    with pytest.raises(ValueError, match="allowed are sizes of at least 1"):
        joint_histogram(bins, factors, 5, (3, 0, 300, 6, 2))
    with pytest.raises(ValueError, match="n_bins is 0, allowed is at least 1"):
        joint_histogram(bins, factors, 0, SIZES)
    with pytest.raises(ValueError, match=r"10000000 x 300, allowed is below 2 \*\* 31"):
        joint_histogram(bins, factors, 10_000_000, SIZES)
    grid = EqualWidthGrid.of(torch.rand(2, 57), 5)
    with pytest.raises(ValueError, match="the grid has 2 latents, allowed is that of codes, 3"):
        joint_histogram_of_codes(torch.rand(57, 3), factors, grid, SIZES)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu() -> None:
    codes, factors = some_codes(3001), some_factors(3001)
    grid, there = (EqualWidthGrid.of(place.T, 20) for place in (codes, codes.cuda()))
    found = joint_histogram_of_codes(codes.cuda(), factors.cuda(), there, SIZES)
    expected = joint_histogram_of_codes(codes, factors, grid, SIZES)
    assert_equal(tuple(counts.cpu() for counts in found), expected)
