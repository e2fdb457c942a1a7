"""Triton path of `batch_topk`: the threshold, then two passes that write what reaches it.

The first pass counts what each block has above and at the threshold, the second writes what is kept
where prefix sums of the counts say: ties go by position, and the same inputs give the same bytes.
Reads: the batch twice here, and once per digit of 16 bits in `batch_topk_threshold_triton`. Sizes
of blocks are not tuned on a card.
"""

from typing import NamedTuple, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from seethrough.kernels.batch_topk_threshold_triton import Keys, threshold_of
from seethrough.kernels.float_keys import float_keys, infinity_key
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import NAN_MESSAGE

BLOCK = 2048
MAX_ENTRIES = 2**31 - 1
"""Counts are of 32 bits, whose atomic additions are the fastest."""


class PaddedCode(NamedTuple):
    """A ragged code with room for as many entries as there can be: a size known beforehand."""

    row_starts: Int64[Tensor, " rows_and_end"]
    """As in a RaggedCode; the last one is the number of entries."""
    latents: Int64[Tensor, " n_most"]
    """Latents, undefined from the number of entries on."""
    values: Float[Tensor, " n_most"]
    """Values, undefined from the number of entries on."""
    n_nan: Int32[Tensor, " 1"]
    """Above 0 if the batch holds NaN; the rest then means nothing."""


def launch(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `batch_topk`. B M > 0."""
    return trimmed(select(pre_activations, k_per_sample), pre_activations.shape[1])


def trimmed(code: PaddedCode, width: int) -> RaggedCode:
    """Return the code without its padding, or raise ValueError for NaN: one copy to the host."""
    n_entries, n_nan = torch.stack([code.row_starts[-1], code.n_nan[0]]).tolist()
    if n_nan:
        raise ValueError(NAN_MESSAGE)
    return RaggedCode(code.row_starts, code.latents[:n_entries], code.values[:n_entries], width)


def select(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> PaddedCode:
    """Return the code of `batch_topk` with padding; nothing is copied to the host. B M > 0.

    The shapes of all launches are known beforehand, so a CUDA graph can hold them.

    Raises ValueError for a batch of 2^31 entries or more.
    """
    n_entries = pre_activations.numel()
    if n_entries > MAX_ENTRIES:
        raise ValueError(f"the batch has {n_entries} entries, allowed are at most {MAX_ENTRIES}")
    n_nan = torch.zeros(1, dtype=torch.int32, device=pre_activations.device)
    keys = Keys(float_keys(pre_activations), pre_activations.dtype, n_nan)
    n_most = min(k_per_sample * len(pre_activations), n_entries)
    row_starts, latents, chosen = _compacted(keys, n_most, threshold_of(keys, n_most))
    return PaddedCode(row_starts, latents, chosen.view(keys.dtype), n_nan)


def _compacted(
    keys: Keys, n_most: int, threshold: Int64[Tensor, " 2"]
) -> tuple[Int64[Tensor, " rows_and_end"], Int64[Tensor, " n_most"], Int[Tensor, " n_most"]]:
    """Return where rows start, and the latents and keys of all entries that stay."""
    n_rows, width = keys.of_rows.shape
    block = min(BLOCK, triton.next_power_of_2(width))
    n_parts = triton.cdiv(width, block)  # of a row: no block holds entries of two rows
    sizes = {"INFINITY": infinity_key(keys.dtype), "KEY": keys.integer(), "BLOCK": block}
    tallies = torch.empty(2, n_rows * n_parts, dtype=torch.int32, device=keys.of_rows.device)
    grid = (n_rows * n_parts,)
    _tally[grid](tallies, keys.of_rows, threshold, width, n_parts, **sizes)
    ends = torch.cat([tallies.new_zeros(2, 1, dtype=torch.int64), tallies.cumsum(1)], dim=1)
    tie_starts = ends[1]
    starts = ends[0] + torch.minimum(tie_starts, threshold[1])
    latents = torch.empty(n_most, dtype=torch.int64, device=keys.of_rows.device)
    chosen = torch.empty(n_most, dtype=keys.of_rows.dtype, device=keys.of_rows.device)
    _write[grid](
        latents, chosen, keys.of_rows, threshold, starts, tie_starts, width, n_parts, **sizes
    )
    return starts[::n_parts].contiguous(), latents, chosen


@triton.jit
@no_type_check
def _tally(
    tallies,
    keys,
    threshold,
    width,
    n_parts,
    INFINITY: tl.constexpr,
    KEY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    block = tl.program_id(0)
    columns = (block % n_parts) * BLOCK + tl.arange(0, BLOCK)
    places = (block // n_parts).to(tl.int64) * width + columns
    key = tl.load(keys + places, mask=columns < width, other=0).to(KEY)
    least = tl.load(threshold).to(KEY)
    above = (key > least) & (key <= INFINITY)
    tl.store(tallies + block, tl.sum(above.to(tl.int32)))
    tl.store(tallies + tl.num_programs(0) + block, tl.sum((key == least).to(tl.int32)))


@triton.jit
@no_type_check
def _write(
    latents,
    chosen,
    keys,
    threshold,
    starts,
    tie_starts,
    width,
    n_parts,
    INFINITY: tl.constexpr,
    KEY: tl.constexpr,
    BLOCK: tl.constexpr,
):
    block = tl.program_id(0)
    start = tl.load(starts + block)
    if start < tl.load(starts + block + 1):
        columns = (block % n_parts) * BLOCK + tl.arange(0, BLOCK)
        places = (block // n_parts).to(tl.int64) * width + columns
        bits = tl.load(keys + places, mask=columns < width, other=0)
        key = bits.to(KEY)
        least = tl.load(threshold).to(KEY)
        tied = key == least
        ties_before = tl.load(tie_starts + block) + tl.cumsum(tied.to(tl.int32)) - 1
        kept = tied & (ties_before < tl.load(threshold + 1))
        kept |= (key > least) & (key <= INFINITY)
        ends = start + tl.cumsum(kept.to(tl.int32)) - 1
        tl.store(latents + ends, columns.to(tl.int64), mask=kept)
        tl.store(chosen + ends, bits, mask=kept)
