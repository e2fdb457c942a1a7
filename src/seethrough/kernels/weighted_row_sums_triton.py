"""Triton kernel of `weighted_row_sums`: one program per segment and block of columns.

A program reads BLOCK_ROWS rows at a time, so that several reads are under way, adds them into as
many partial sums, and joins those at the end. Sums are in float32, in float64 for float64. Block
sizes are not tuned on a card.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int64
from torch import Tensor

BLOCK_ROWS = 4
MAX_BLOCK_COLUMNS = 256


def launch(
    starts: Int64[Tensor, " segments_and_end"],
    rows: Int64[Tensor, " n"],
    weights: Float[Tensor, " n"],
    table: Float[Tensor, "R D"],
) -> Float[Tensor, "S D"]:
    """Return the sums; tensors are contiguous, and nothing is copied to the host."""
    width = table.shape[1]
    sums = table.new_empty(len(starts) - 1, width)
    block_columns = min(MAX_BLOCK_COLUMNS, triton.next_power_of_2(max(width, 1)))
    grid = (len(sums), triton.cdiv(width, block_columns))
    if sums.numel():
        _kernel[grid](
            sums,
            table,
            starts,
            rows,
            weights,
            width,
            BLOCK_ROWS=BLOCK_ROWS,
            BLOCK_COLUMNS=block_columns,
            WIDE=tl.float64 if table.dtype == torch.float64 else tl.float32,
        )
    return sums


@triton.jit
@no_type_check
def _kernel(
    sums,
    table,
    starts,
    rows,
    weights,
    width,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    WIDE: tl.constexpr,
):
    segment = tl.program_id(0).to(tl.int64)
    columns = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
    inside = columns < width
    last = tl.load(starts + segment + 1)
    partial = tl.zeros((BLOCK_ROWS, BLOCK_COLUMNS), WIDE)
    for entry in range(tl.load(starts + segment), last, BLOCK_ROWS):
        entries = entry + tl.arange(0, BLOCK_ROWS)
        there = entries < last
        row = tl.load(rows + entries, mask=there, other=0)
        weight = tl.load(weights + entries, mask=there, other=0).to(WIDE)
        places = row[:, None] * width + columns[None, :]
        tile = tl.load(table + places, mask=there[:, None] & inside[None, :], other=0)
        partial += weight[:, None] * tile.to(WIDE)
    tl.store(sums + segment * width + columns, tl.sum(partial, axis=0), mask=inside)
