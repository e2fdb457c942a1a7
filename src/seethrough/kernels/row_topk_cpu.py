"""CPU path of `row_topk`: a bound of every row, its candidates, a partition of those.

Rows are taken in pieces that stay in a core's cache, so the batch is read from memory once. The
bound of a row is one that k entries reach for certain (`certain_bounds`), 1.15 k in a usual row;
its threshold is then found among them.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from seethrough.kernels.batch_topk_cpu import (
    PIECE,
    Entries,
    certain_bounds,
    in_pieces,
    joined,
    refuse_nan,
)
from seethrough.kernels.float_keys import float_keys
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import flat_code


def select(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `row_topk`; numbers that are not contiguous are copied once."""
    dtype, (n_rows, width) = pre_activations.dtype, pre_activations.shape
    keys = float_keys(pre_activations).numpy()

    def largest_of(start: int, end: int) -> Entries:
        found = largest_of_rows(keys[start:end], k_per_sample, dtype)
        return Entries(found.positions + start * width, found.keys)

    found = joined(in_pieces(largest_of, n_rows, max(1, PIECE // width)))
    values = torch.from_numpy(found.keys).view(dtype)
    return flat_code(torch.from_numpy(found.positions), values, pre_activations.shape)


def largest_of_rows(keys: Int[np.ndarray, "R M"], k: int, dtype: torch.dtype) -> Entries:
    """Return the k largest entries of each row that are above 0; raise ValueError for NaN."""
    n_rows, width = keys.shape
    bounds = certain_bounds(keys, min(k, width))
    positions = np.flatnonzero(keys >= bounds[:, None])
    found = keys.ravel()[positions]
    refuse_nan(keys, found, dtype)
    row_ends = np.searchsorted(positions, np.arange(1, n_rows + 1) * width)
    kept = largest_per_row(found, np.diff(row_ends, prepend=0), k)
    return Entries(positions[kept], found[kept])


def largest_per_row(
    keys: Int[np.ndarray, " n"], row_counts: Int64[np.ndarray, " R"], k: int
) -> Bool[np.ndarray, " n"]:
    """Return which keys are the k largest of their row, of equal ones the first.

    Rows follow each other, `row_counts` of positive keys each; one with at most k keeps them all.
    """
    longest = int(row_counts.max())
    if longest <= k:
        return np.ones(len(keys), dtype=np.bool_)
    there = np.arange(longest) < row_counts[:, None]
    padded = np.zeros(there.shape, dtype=keys.dtype)
    padded[there] = keys
    thresholds = np.partition(padded, longest - k, axis=1)[:, longest - k, None]
    above, tied = padded > thresholds, padded == thresholds
    missing = k - above.sum(axis=1, keepdims=True)
    kept: Bool[np.ndarray, "R longest"] = above | (tied & (tied.cumsum(axis=1) <= missing))
    return kept[there]
