"""Triton kernels of `row_topk`: a program per row finds its threshold, another writes its entries.

A program holds a row in registers and finds the bits of the largest key that enough entries reach,
one count of the row per bit, the highest first: exact, and without atomic additions. Prefix sums
tell where each row begins; ties go by position, and the same inputs give the same bytes. Reads: the
batch twice.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from seethrough.kernels.batch_topk_triton import PaddedCode, trimmed
from seethrough.kernels.float_keys import float_keys, infinity_key, minus_infinity_key
from seethrough.kernels.ragged_code import RaggedCode

MAX_WIDTH = 1 << 20
"""Triton's largest tensor; from 2^17 on, a row no longer fits into the registers of its program."""
MAX_ENTRIES_PER_WARP = 1024
"""32 entries for each thread, up to 32 warps."""


def launch(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `row_topk`. B M > 0."""
    return trimmed(select(pre_activations, k_per_sample), pre_activations.shape[1])


def select(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> PaddedCode:
    """Return the code of `row_topk` with padding; nothing is copied to the host. B M > 0.

    The shapes of all launches are known beforehand, so a CUDA graph can hold them.

    Raises ValueError for rows of more than 2^20 entries.
    """
    n_rows, width = pre_activations.shape
    if width > MAX_WIDTH:
        raise ValueError(f"rows have {width} entries, allowed are at most {MAX_WIDTH}")
    dtype, device = pre_activations.dtype, pre_activations.device
    keys = float_keys(pre_activations)
    k = min(k_per_sample, width)
    n_nan = torch.zeros(1, dtype=torch.int32, device=device)
    thresholds = torch.empty(n_rows, dtype=torch.int64, device=device)
    row_starts = torch.zeros(n_rows + 1, dtype=torch.int64, device=device)
    latents = torch.empty(n_rows * k, dtype=torch.int64, device=device)
    chosen = torch.empty(n_rows * k, dtype=keys.dtype, device=device)
    sizes = _sizes(keys, dtype)
    _find_threshold[(n_rows,)](
        thresholds,
        row_starts,
        n_nan,
        keys,
        k,
        width,
        N_BITS=8 * keys.element_size() - 1,
        MINUS_INFINITY=minus_infinity_key(dtype),
        **sizes,
    )
    row_starts.cumsum_(0)
    _write[(n_rows,)](latents, chosen, keys, thresholds, row_starts, width, **sizes)
    return PaddedCode(row_starts, latents, chosen.view(dtype), n_nan)


def _sizes(keys: Tensor, dtype: torch.dtype) -> dict[str, object]:
    block = triton.next_power_of_2(keys.shape[1])
    return {
        "INFINITY": infinity_key(dtype),
        "KEY": tl.int64 if keys.dtype == torch.int64 else tl.int32,
        "BLOCK": block,
        "num_warps": min(32, max(1, block // MAX_ENTRIES_PER_WARP)),
    }


@triton.jit
@no_type_check
def _find_threshold(
    thresholds,
    row_starts,
    n_nan,
    keys,
    k,
    width,
    N_BITS: tl.constexpr,
    MINUS_INFINITY: tl.constexpr,
    INFINITY: tl.constexpr,
    KEY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    key = tl.load(keys + row * width + columns, mask=columns < width, other=0).to(KEY)
    nans = tl.sum(((key > INFINITY) | ((key < 0) & (key > MINUS_INFINITY))).to(tl.int32))
    if nans > 0:
        tl.atomic_add(n_nan, nans)
    key = tl.where(key <= INFINITY, key, 0)
    wanted = tl.minimum(tl.sum((key > 0).to(tl.int32)), k)
    least = tl.full((), 0, KEY)
    for bit in range(N_BITS):
        higher = least | (tl.full((), 1, KEY) << (N_BITS - 1 - bit))
        least = tl.where(tl.sum((key >= higher).to(tl.int32)) >= wanted, higher, least)
    tl.store(thresholds + row, least.to(tl.int64))
    tl.store(row_starts + row + 1, wanted.to(tl.int64))


@triton.jit
@no_type_check
def _write(
    latents,
    chosen,
    keys,
    thresholds,
    row_starts,
    width,
    INFINITY: tl.constexpr,
    KEY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    row = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK)
    bits = tl.load(keys + row * width + columns, mask=columns < width, other=0)
    key = bits.to(KEY)
    start = tl.load(row_starts + row)
    least = tl.load(thresholds + row).to(KEY)
    above = (key > least) & (key <= INFINITY)
    missing = tl.load(row_starts + row + 1) - start - tl.sum(above.to(tl.int32))
    tied = key == least
    kept = above | (tied & (tl.cumsum(tied.to(tl.int32)) <= missing))
    places = start + tl.cumsum(kept.to(tl.int32)) - 1
    tl.store(latents + places, columns.to(tl.int64), mask=kept)
    tl.store(chosen + places, bits, mask=kept)
