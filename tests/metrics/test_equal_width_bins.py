"""Equal-width bins, bit for bit those of numpy in float64."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from seethrough.metrics import equal_width_bins


def numpy_bins(row: np.ndarray, n_bins: int) -> np.ndarray:
    row = row.astype(np.float64)
    return np.digitize(row, np.histogram(row, n_bins)[1][:-1]) - 1


def test_by_hand():
    # Range 0 to 4 in 4 bins: edges 0 1 2 3 4. An edge belongs to the bin on its right, the
    # maximum to the last bin. The second row has the edges -1 -0.5 0 0.5 1.
    codes = torch.tensor([[0.0, 0.99, 1.0, 2.5, 4.0], [-1.0, 1.0, 0.0, -0.5, 0.49]])
    assert equal_width_bins(codes, 4).tolist() == [[0, 0, 1, 2, 3], [0, 3, 2, 1, 2]]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    values=st.lists(
        st.floats(-1e6, 1e6, allow_subnormal=False) | st.integers(-40, 40).map(float),
        min_size=1,
        max_size=60,
    ),
    offset=st.sampled_from([0.0, 1.0, 1e3, 1e9, -1e15]),
    scale=st.sampled_from([1.0, 1e-3, 1e-9, 1e12]),
    n_bins=st.integers(1, 25),
)
@example(values=[0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 1.0], offset=0.0, scale=1.0, n_bins=10)
@example(values=[1.0, 1.0 + 2**-52, 1.0 + 2**-51, 1.0 + 2**-50], offset=0.0, scale=1.0, n_bins=20)
def test_equals_numpy(values, offset, scale, n_bins):
    row = np.array(values) * scale + offset
    assume(row.min() < row.max())  # a constant code has its own test below
    bins = equal_width_bins(torch.from_numpy(row)[None], n_bins)[0]
    try:
        expected = numpy_bins(row, n_bins)
    except ValueError:  # numpy refuses a range of a few rounding steps
        edges = np.linspace(row.min(), row.max(), n_bins + 1)
        expected = np.digitize(row, edges[:-1]) - 1
    assert np.array_equal(bins.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_equals_numpy_on_every_edge_and_its_neighbours(dtype):
    generator = torch.Generator().manual_seed(0)
    rows = []
    for low, width in torch.rand(50, 2, generator=generator).tolist():
        edges = np.linspace(low, low + width + 0.1, 21)
        near = np.concatenate([edges, np.nextafter(edges, -9.0), np.nextafter(edges, 9.0)])
        rows.append(near.clip(edges[0], edges[-1]))
    codes = torch.from_numpy(np.stack(rows)).to(dtype)
    expected = np.stack([numpy_bins(row, 20) for row in codes.double().numpy()])
    assert np.array_equal(equal_width_bins(codes).numpy(), expected)


def test_equals_numpy_on_a_sparse_code():
    codes = torch.randn(30, 2000, generator=torch.Generator().manual_seed(1)).sub(1.5).relu()
    expected = np.stack([numpy_bins(row, 20) for row in codes.numpy()])
    assert np.array_equal(equal_width_bins(codes).numpy(), expected)


def test_equals_numpy_on_float64_codes_given_sample_by_sample():
    codes = torch.randn(500, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    expected = np.stack([numpy_bins(row, 20) for row in codes.numpy().T])
    assert np.array_equal(equal_width_bins(codes.T).numpy(), expected)


@pytest.mark.parametrize("value", [0.0, 0.3, -1e20, 1e300])
def test_constant_code_is_one_bin(value):
    codes = torch.full((2, 5), value, dtype=torch.float64)
    codes[1] = torch.arange(5)
    assert equal_width_bins(codes, 5).tolist() == [[0] * 5, [0, 1, 2, 3, 4]]


def test_transposed_codes():
    codes = torch.randn(40, 3, generator=torch.Generator().manual_seed(2))
    assert torch.equal(equal_width_bins(codes.T), equal_width_bins(codes.T.contiguous()))


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_values_that_cannot_be_binned_are_refused(wrong):
    codes = torch.zeros(3, 4)
    codes[1, 2] = wrong
    with pytest.raises(ValueError, match="must be finite, got .* in 1 of 3 codes, first in code 1"):
        equal_width_bins(codes)


def test_impossible_sizes_are_refused():
    with pytest.raises(ValueError, match="n_bins must be at least 1, got 0"):
        equal_width_bins(torch.zeros(1, 4), 0)
    with pytest.raises(ValueError, match="at least one sample"):
        equal_width_bins(torch.zeros(1, 0))
