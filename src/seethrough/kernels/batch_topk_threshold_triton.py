"""The threshold of `batch_topk` by Triton kernels: histograms of the keys' digits.

Digits have 16 bits and are found one by one, the highest first: a bfloat16 has one, float32 two,
float64 four. A histogram counts the entries that agree with the digits found so far; its atomic
additions are of integers, the same in any order. For the first digit a sample tells a bound below
which entries are not worth counting; if too few reach it, a second launch counts the rest, and else
that launch returns at once. Reads: the batch once per digit. Nothing is copied to the host. Sizes
of blocks are not tuned on a card.
"""

import math
from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Int, Int32, Int64
from torch import Tensor

from seethrough.kernels.float_keys import infinity_key, minus_infinity_key

DIGIT_BITS = 16
N_BINS = 1 << DIGIT_BITS
BLOCK = 4096
SAMPLE = 1 << 16
"""Entries from which the bound is told, or a 16th of the batch where that is less."""
DEVIATIONS = 4.0
"""By how many standard deviations of the sample's count the bound is loosened."""


class Keys(NamedTuple):
    """The batch as integers, and where the kernels report NaN."""

    of_rows: Int[Tensor, "B M"]
    dtype: torch.dtype
    n_nan: Int32[Tensor, " 1"]

    def integer(self) -> tl.dtype:
        """Return the type in which kernels compare keys."""
        return tl.int64 if self.of_rows.dtype == torch.int64 else tl.int32

    def full(self, *numbers: int) -> Int64[Tensor, " n"]:
        """Return numbers on the device without a copy from the host."""
        return torch.cat([self.of_rows.new_full((1,), x, dtype=torch.int64) for x in numbers])


def threshold_of(keys: Keys, n_most: int) -> Int64[Tensor, " 2"]:
    """Return the smallest key that stays, and how many of the entries equal to it stay."""
    top, *lower = range(8 * keys.of_rows.element_size() - DIGIT_BITS, -1, -DIGIT_BITS)
    state = keys.full(0, n_most)  # the digits found so far, and how many are still to be found
    _pick_digit[(1,)](_top_histogram(keys, n_most, top), state, HIGHEST=N_BINS // 2 - 1)
    for shift in lower:
        counts = _no_counts(keys)
        _count(counts, keys, keys.full(1, infinity_key(keys.dtype)), state, shift)
        _pick_digit[(1,)](counts, state, HIGHEST=N_BINS - 1)
    return state


def _top_histogram(keys: Keys, n_most: int, shift: int) -> Int32[Tensor, " bins"]:
    """Return how many entries have each first digit, at least for the `n_most` largest of them."""
    bound = _likely_bound(keys, n_most, shift)
    counts = _no_counts(keys)
    no_digits = keys.full(0)
    _count(counts, keys, torch.cat([bound, keys.full(infinity_key(keys.dtype))]), no_digits, shift)
    enough = counts.sum() >= n_most
    below = torch.cat([torch.where(enough, bound, 1), bound - 1])  # empty if there are enough
    _count(counts, keys, below, no_digits, shift)
    return counts


def _likely_bound(keys: Keys, n_most: int, shift: int) -> Int64[Tensor, " 1"]:
    """Return a key of at least 1 that a few more than `n_most` entries are likely to reach."""
    n_rows, width = keys.of_rows.shape
    step = max(16, n_rows * width // SAMPLE)
    while math.gcd(step, width) > 1:  # every latent comes up, not some alone
        step += 1
    expected = n_most / step
    rank = math.ceil(expected + DEVIATIONS * math.sqrt(expected)) + 1
    counts, state = _no_counts(keys), keys.full(0, rank)
    _count(counts, keys, keys.full(1, infinity_key(keys.dtype)), keys.full(0), shift, step)
    _pick_digit[(1,)](counts, state, HIGHEST=N_BINS // 2 - 1)
    return torch.where(counts.sum() >= rank, state[:1] << shift, 1).clamp(min=1)


def _no_counts(keys: Keys) -> Int32[Tensor, " bins"]:
    return torch.zeros(N_BINS, dtype=torch.int32, device=keys.of_rows.device)


def _count(
    counts: Int32[Tensor, " bins"],
    keys: Keys,
    window: Int64[Tensor, " 2"],
    state: Int64[Tensor, " n"],
    shift: int,
    step: int = 1,
) -> None:
    """Add to `counts` the digit at `shift` of every step-th key in the window, both ends in."""
    n_keys = triton.cdiv(keys.of_rows.numel(), step)
    _count_digits[(triton.cdiv(n_keys, BLOCK),)](
        counts,
        keys.n_nan,
        keys.of_rows,
        window,
        state,
        keys.of_rows.numel(),
        step,
        shift,
        INFINITY=infinity_key(keys.dtype),
        MINUS_INFINITY=minus_infinity_key(keys.dtype),
        KEY=keys.integer(),
        BLOCK=BLOCK,
    )


@triton.jit
@no_type_check
def _count_digits(
    counts,
    n_nan,
    keys,
    window,
    state,
    n_keys,
    step,
    shift,
    INFINITY: tl.constexpr,
    MINUS_INFINITY: tl.constexpr,
    KEY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    low = tl.load(window).to(KEY)
    high = tl.load(window + 1).to(KEY)
    if low <= high:
        places = (tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)) * step
        key = tl.load(keys + places, mask=places < n_keys, other=0).to(KEY)
        nan = (key > INFINITY) | ((key < 0) & (key > MINUS_INFINITY))
        nans = tl.sum(nan.to(tl.int32))
        if nans > 0:
            tl.atomic_add(n_nan, nans)
        digits = key >> shift
        # Two shifts, since one by all of a key's bits is undefined.
        agrees = (digits >> 16) == tl.load(state).to(KEY)
        counted = (key >= low) & (key <= high) & agrees
        tl.atomic_add(counts + (digits & 0xFFFF), 1, mask=counted, sem="relaxed")


@triton.jit
@no_type_check
def _pick_digit(counts, state, HIGHEST: tl.constexpr):
    """Append to the state the highest digit that enough entries reach, all of them if too few."""
    places = tl.arange(0, 256)
    tile = tl.load(counts + 65535 - (places[:, None] * 256 + places[None, :]))  # highest first
    sums = tl.sum(tile, axis=1)
    missing = tl.minimum(tl.load(state + 1), tl.sum(sums).to(tl.int64))
    row = tl.sum((tl.cumsum(sums) < missing).to(tl.int32))
    missing -= tl.sum(tl.where(places < row, sums, 0)).to(tl.int64)
    bins = tl.load(counts + 65535 - (row * 256 + places))
    column = tl.sum((tl.cumsum(bins) < missing).to(tl.int32))
    missing -= tl.sum(tl.where(places < column, bins, 0)).to(tl.int64)
    # Where nothing is to be found the digit is the highest, and no key is above the last prefix.
    digit = tl.minimum(65535 - (row * 256 + column), HIGHEST)
    tl.store(state, (tl.load(state) << 16) | digit)
    tl.store(state + 1, missing)
