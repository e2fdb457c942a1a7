"""CPU path of `batch_topk`: a bound from a sample, one pass for candidates, a partition of those.

A sample tells a bound that somewhat more than k B entries are likely to reach. One pass over the
batch, in pieces that stay in a core's cache, collects whoever reaches it, about 1 % of a usual
batch, and the exact threshold is found among these. If fewer than k B reached the bound, one that
as many reach for certain takes its place: the sample decides about time, never about the result.
There are as many threads as torch has. numpy does the work, since torch takes several times as long
to find where a mask is set.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Int64
from torch import Tensor

from seethrough.kernels.float_keys import float_keys, infinity_key, minus_infinity_key
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import NAN_MESSAGE, flat_code

PIECE = 1 << 19
"""Entries looked at together, few enough for a cache; 2^18 and 2^20 take as long within 15 %."""
SAMPLE = 1 << 16
"""Entries from which the bound is told, or a 16th of the batch where that is less."""
DEVIATIONS = 4.0
"""By how many standard deviations of the sample's count the bound is loosened."""
GROUPS_PER_ENTRY = 4
"""Groups whose maxima give a certain bound, for each entry wanted: 1.15 x as many reach it."""


class Entries(NamedTuple):
    """Some entries in row-major order: where they stand, and their bits."""

    positions: Int64[np.ndarray, " n"]
    keys: Int[np.ndarray, " n"]


def select(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `batch_topk`; numbers that are not contiguous are copied once."""
    dtype, shape = pre_activations.dtype, pre_activations.shape
    keys = float_keys(pre_activations).flatten().numpy()  # [B M]
    n_most = min(k_per_sample * shape[0], len(keys))
    bound = likely_bound(keys, n_most, shape[1])
    found = candidates(keys, bound, dtype)
    if bound > 1 and len(found.keys) < n_most:
        bound = int(certain_bounds(keys[None, :], n_most)[0])
        found = candidates(keys, bound, dtype)
    kept = largest(found.keys, n_most)
    values = torch.from_numpy(found.keys[kept]).view(dtype)
    return flat_code(torch.from_numpy(found.positions[kept]), values, shape)


def likely_bound(keys: Int[np.ndarray, " N"], n_most: int, width: int) -> int:
    """Return a key of at least 1 that a few more than `n_most` entries are likely to reach."""
    step = max(16, len(keys) // SAMPLE)
    while math.gcd(step, width) > 1:  # every latent comes up, not some alone
        step += 1
    sample = keys[::step]
    expected = n_most * len(sample) / len(keys)
    rank = min(len(sample), math.ceil(expected + DEVIATIONS * math.sqrt(expected)) + 1)
    return max(1, int(np.partition(sample, len(sample) - rank)[len(sample) - rank]))


def certain_bounds(keys: Int[np.ndarray, "R N"], n_most: int) -> Int[np.ndarray, " R"]:
    """Return keys of at least 1 that, if above 1, `n_most` entries of each row reach for certain.

    Cut into groups, a row has as many maxima as groups, and the n-th largest of them is reached by
    n groups. N >= n.
    """
    n_rows, n_keys = keys.shape
    size = max(1, n_keys // (GROUPS_PER_ENTRY * n_most))
    n_groups = n_keys // size
    groups = keys[:, : size * n_groups].reshape(n_rows, size, n_groups)  # a group is a column
    nth = n_groups - n_most
    return np.maximum(np.partition(groups.max(axis=1), nth, axis=1)[:, nth], 1)


def candidates(keys: Int[np.ndarray, " N"], bound: int, dtype: torch.dtype) -> Entries:
    """Return all entries whose keys reach the bound; raise ValueError for NaN."""

    def reaching(start: int, end: int) -> Entries:
        piece = keys[start:end]
        positions = np.flatnonzero(piece >= bound)
        found = piece[positions]
        refuse_nan(piece, found, dtype)
        return Entries(positions + start, found)

    return joined(in_pieces(reaching, len(keys), PIECE))


def largest(keys: Int[np.ndarray, " n"], n_most: int) -> Bool[np.ndarray, " n"]:
    """Return which keys are the `n_most` largest, of equal ones the first; all of fewer."""
    if len(keys) <= n_most:
        return np.ones(len(keys), dtype=np.bool_)
    nth = len(keys) - n_most
    threshold = np.partition(keys, nth)[nth]
    kept: Bool[np.ndarray, " n"] = keys > threshold
    ties = np.flatnonzero(keys == threshold)
    kept[ties[: n_most - np.count_nonzero(kept)]] = True
    return kept


def refuse_nan(
    keys: Int[np.ndarray, "*shape"], reaching: Int[np.ndarray, " n"], dtype: torch.dtype
) -> None:
    """Raise ValueError if keys stand for NaN; `reaching` are all those above some bound.

    A NaN without sign is above every bound. With a sign it is the only number whose bits, read
    without sign, are above those of -inf.
    """
    bits = keys.view(f"u{keys.itemsize}")
    minus_infinity = minus_infinity_key(dtype) % (1 << 8 * keys.itemsize)
    if bits.max(initial=0) > minus_infinity or reaching.max(initial=0) > infinity_key(dtype):
        raise ValueError(NAN_MESSAGE)


def in_pieces(work: Callable[[int, int], Entries], n_items: int, piece: int) -> list[Entries]:
    """Return what `work` gives for every piece, its start and end, in order, on all threads."""

    def share(starts: Int64[np.ndarray, " pieces"]) -> list[Entries]:
        return [work(int(start), min(int(start) + piece, n_items)) for start in starts]

    starts = np.arange(0, n_items, piece)
    n_threads = min(torch.get_num_threads(), len(starts))
    if n_threads <= 1:
        return share(starts)
    with ThreadPoolExecutor(n_threads) as pool:
        return sum(pool.map(share, np.array_split(starts, n_threads)), [])


def joined(pieces: list[Entries]) -> Entries:
    """Return the entries of all pieces, one after the other."""
    return Entries(*(np.concatenate(parts) for parts in zip(*pieces, strict=True)))
