"""The Triton kernel of joint counts against one-hot products, in the interpreter or on a card."""

import math

import pytest
import torch
from torch import Tensor

from seethrough.kernels import joint_histogram as public
from seethrough.kernels.joint_histogram import (
    joint_histogram,
    joint_histogram_of_codes,
    joint_histogram_reference,
)
from seethrough.metrics.equal_width_bins import EqualWidthGrid

triton = pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZES = (3, 1, 6)


@pytest.fixture(autouse=True)
def _triton_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "takes_triton", lambda device: True)


def some_factors(n_samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randint(0, size, (n_samples,), generator=generator) for size in SIZES]
    return torch.stack(columns, dim=1).to(DEVICE)


def some_bins(n_samples: int, n_latents: int, n_bins: int) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(0, n_bins, (n_samples, n_latents), generator=generator).to(DEVICE)


def some_codes(n_samples: int) -> Tensor:
    """Return codes that are normal, sparse, constant, on edges, far off and narrow."""
    x = torch.randn(n_samples, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[:, 1] = (x[:, 1] - 1).relu()
    x[:, 2] = -2.5
    x[:, 3] = (4 * x[:, 3]).round().clamp(-10, 10)
    x[:, 4] += 1e3
    x[:, 5] = 1e6 + 1e-1 * x[:, 5].clamp(-2, 2)
    return x.to(DEVICE)


def assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    assert len(found) == len(expected)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize(("n_samples", "n_latents"), [(1, 1), (33, 3), (70, 130)])
def test_bins_equal_the_reference(n_samples: int, n_latents: int) -> None:
    bins, factors = some_bins(n_samples, n_latents, 5), some_factors(n_samples)
    expected = joint_histogram_reference(bins, factors, 5, SIZES)
    assert_equal(joint_histogram(bins, factors, 5, SIZES), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n_bins", [1, 20])
def test_codes_equal_their_bins(dtype: torch.dtype, n_bins: int) -> None:
    codes, factors = some_codes(97).to(dtype), some_factors(97)
    grid = EqualWidthGrid.of(codes.T, n_bins)
    expected = joint_histogram_reference(grid.bins(codes.T).T, factors, n_bins, SIZES)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), expected)


def test_the_codes_hold_a_narrow_one() -> None:
    assert EqualWidthGrid.of(some_codes(97).T, 20).narrow.tolist() == [False] * 5 + [True]


def test_codes_need_not_be_contiguous() -> None:
    codes, factors = some_codes(97), some_factors(97)
    grid = EqualWidthGrid.of(codes.T, 20)
    expected = joint_histogram_of_codes(codes, factors, grid, SIZES)
    assert_equal(joint_histogram_of_codes(codes.T.contiguous().T, factors, grid, SIZES), expected)


def test_the_same_counts_twice() -> None:
    codes, factors = some_codes(97), some_factors(97)
    grid = EqualWidthGrid.of(codes.T, 20)
    once = joint_histogram_of_codes(codes, factors, grid, SIZES)
    assert_equal(joint_histogram_of_codes(codes, factors, grid, SIZES), once)


@pytest.mark.parametrize(("n_samples", "n_latents"), [(0, 3), (4, 0)])
def test_nothing_to_count(n_samples: int, n_latents: int) -> None:
    counts = joint_histogram(some_bins(n_samples, n_latents, 5), some_factors(n_samples), 5, SIZES)
    assert [of_factor.shape for of_factor in counts] == [(n_latents, 5, size) for size in SIZES]
    assert all(int(of_factor.sum()) == 0 for of_factor in counts)


@pytest.mark.parametrize("wrong", [-1, 5, 2**40])
def test_bins_outside_their_range_are_refused(wrong: int) -> None:
    bins = some_bins(33, 3, 5)
    bins[30, 2] = wrong
    bins[0, 0] = wrong
    with pytest.raises(ValueError, match="got 2 bins, allowed are 0 to 4"):
        joint_histogram(bins, some_factors(33), 5, SIZES)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -1e-3, 1e-3])
@pytest.mark.parametrize("column", [0, 2, 5])
def test_codes_outside_the_grid_are_refused(wrong: float, column: int) -> None:
    codes = some_codes(33)
    grid = EqualWidthGrid.of(codes.T, 20)
    end = codes[:, column].amin() if wrong < 0 else codes[:, column].amax()
    codes[30, column] = end + wrong
    with pytest.raises(ValueError, match="got 1 codes that are NaN or outside the grid"):
        joint_histogram_of_codes(codes, some_factors(33), grid, SIZES)
