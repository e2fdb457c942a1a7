"""Wanda's score, choice and application in one pass over the weights, on a card.

Rows: one program holds a whole row in registers. The threshold is the n-th lowest score, found bit
by bit from the highest: scores are read as unsigned integers in the same order, and a bit belongs
to the threshold if fewer than n scores lie below the number with that bit set. That is 32
comparisons of the row (64 in double precision), and exact. Groups: one program holds many groups,
and ranks each entry by comparing it with the others of its group.

Nothing waits for the card: the number of NaN scores is returned where it was counted.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Bool, Float, Int32
from torch import Tensor

SCORES_PER_WARP = 1024
"""32 scores a lane: a row of 768 is one warp, and its counts need no shared memory. Not tuned."""
SCORES_PER_PROGRAM = 1024
"""Scores of whole groups that one program ranks. Not tuned on a card."""

# The type in which torch multiplies: the wider of the two, half types rounded after the product.
DTYPES = {
    torch.float64: tl.float64,
    torch.float32: tl.float32,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}


@triton.jit
@no_type_check
def _scores(weight, norm, SCORE: tl.constexpr):
    """|W| ||X||, rounded as torch rounds it, in single or double precision; never -0."""
    if weight.dtype == tl.float64 or norm.dtype == tl.float64:
        score = tl.abs(weight.to(tl.float64)) * norm.to(tl.float64)
    else:
        product = tl.abs(weight.to(tl.float32)) * norm.to(tl.float32)
        score = product.to(SCORE).to(tl.float32)
    return tl.where(score == 0, 0.0, score)


@triton.jit
@no_type_check
def _ordered_bits(score):
    """Unsigned integers in the order of the scores."""
    # A negative number has its bits turned over, any other its sign bit set.
    if score.dtype == tl.float64:
        bits = score.to(tl.int64, bitcast=True)
        ordered = (bits ^ (bits >> 63)).to(tl.uint64, bitcast=True)
        sign = tl.full(score.shape, 1, tl.uint64) << 63
    else:
        bits = score.to(tl.int32, bitcast=True)
        ordered = (bits ^ (bits >> 31)).to(tl.uint32, bitcast=True)
        sign = tl.full(score.shape, 1, tl.uint32) << 31
    return tl.where(bits < 0, ordered, ordered | sign)


@triton.jit
@no_type_check
def _prune_row(
    weight,
    norm,
    pruned,
    mask,
    n_nan,
    n_columns,
    n_low,
    SCORE: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    column = tl.arange(0, COLUMNS)
    inside = column < n_columns
    entry = tl.program_id(0).to(tl.int64) * n_columns + column
    w = tl.load(weight + entry, mask=inside, other=0.0)
    score = _scores(w, tl.load(norm + column, mask=inside, other=0.0), SCORE)
    nans = tl.sum((score != score).to(tl.int32))
    tl.atomic_add(n_nan, nans, mask=nans > 0)
    # Columns past the end come after all others: no score is higher, and no tie is later.
    keys = _ordered_bits(tl.where(inside, score, float("inf")))
    threshold = tl.zeros([1], keys.dtype)
    one = tl.full([1], 1, keys.dtype)
    for step in range(keys.dtype.primitive_bitwidth):
        candidate = threshold | (one << (keys.dtype.primitive_bitwidth - 1 - step))
        n_below = tl.sum((keys < candidate).to(tl.int32))
        threshold = tl.where(n_below < n_low, candidate, threshold)
    lower = keys < threshold
    tied = keys == threshold
    n_tied_low = n_low - tl.sum(lower.to(tl.int32))  # of the tied, the first so many go
    low = lower | (tied & (tl.cumsum(tied.to(tl.int32), 0) <= n_tied_low))
    tl.store(pruned + entry, tl.where(low, 0.0, w), mask=inside)
    tl.store(mask + entry, (low == 0).to(tl.int8), mask=inside)


@triton.jit
@no_type_check
def _prune_groups(
    weight,
    norm,
    pruned,
    mask,
    n_nan,
    n_entries,
    n_columns,
    N_LOW: tl.constexpr,
    LENGTH: tl.constexpr,
    SCORE: tl.constexpr,
    GROUPS: tl.constexpr,
):
    first = tl.program_id(0).to(tl.int64) * GROUPS * LENGTH
    place = tl.arange(0, LENGTH)
    entry = first + tl.arange(0, GROUPS)[:, None] * LENGTH + place[None, :]
    inside = entry < n_entries
    w = tl.load(weight + entry, mask=inside, other=0.0)
    score = _scores(w, tl.load(norm + entry % n_columns, mask=inside, other=0.0), SCORE)
    nans = tl.sum((score != score).to(tl.int32))
    tl.atomic_add(n_nan, nans, mask=nans > 0)
    here, other = score[:, :, None], score[:, None, :]  # [GROUPS, LENGTH, LENGTH]
    earlier = place[None, None, :] < place[None, :, None]
    before = (other < here) | ((other == here) & earlier)
    kept = tl.sum(before.to(tl.int32), axis=2) >= N_LOW
    tl.store(pruned + entry, tl.where(kept, w, 0.0), mask=inside)
    tl.store(mask + entry, kept.to(tl.int8), mask=inside)


def launch_rows(
    weight: Float[Tensor, "out in"], input_norm: Float[Tensor, " in_features"], n_low: int
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"], Int32[Tensor, " 1"]]:
    """Return the weight without the n_low lowest scores of each row, the mask, and a count of NaN.

    With NaN scores, mask and weight mean nothing. The weight is not empty.
    """
    weight, pruned, mask, n_nan = _prepare(weight)
    columns = triton.next_power_of_2(weight.shape[1])
    with torch.cuda.device_of(weight):  # type: ignore[no-untyped-call]
        _prune_row[(len(weight),)](
            weight,
            input_norm.contiguous(),
            pruned,
            mask,
            n_nan,
            weight.shape[1],
            n_low,
            DTYPES[torch.promote_types(weight.dtype, input_norm.dtype)],
            columns,
            num_warps=min(max(columns // SCORES_PER_WARP, 1), 16),
        )
    return pruned, mask.view(torch.bool), n_nan


def launch_groups(
    weight: Float[Tensor, "out in"], input_norm: Float[Tensor, " in_features"], n: int, m: int
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"], Int32[Tensor, " 1"]]:
    """Return the weight with the n highest scores of each m, the mask, and a count of NaN.

    With NaN scores, mask and weight mean nothing. m is a power of 2 that divides the row, and
    the weight is not empty.
    """
    weight, pruned, mask, n_nan = _prepare(weight)
    with torch.cuda.device_of(weight):  # type: ignore[no-untyped-call]
        _prune_groups[(triton.cdiv(weight.numel(), SCORES_PER_PROGRAM),)](
            weight,
            input_norm.contiguous(),
            pruned,
            mask,
            n_nan,
            weight.numel(),
            weight.shape[1],
            m - n,
            m,
            DTYPES[torch.promote_types(weight.dtype, input_norm.dtype)],
            SCORES_PER_PROGRAM // m,
        )
    return pruned, mask.view(torch.bool), n_nan


def _prepare(weight: Float[Tensor, "out in"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the weight in C order, and room for the pruned one, the mask and the count of NaN."""
    weight = weight.detach().contiguous()
    mask = torch.empty(weight.shape, dtype=torch.int8, device=weight.device)
    n_nan = torch.zeros(1, dtype=torch.int32, device=weight.device)
    return weight, torch.empty_like(weight), mask, n_nan
