"""Triton kernel of `latent_gradients`: one pass over the entries by latent yields all of them.

A program owns a piece of one latent, at most PIECE entries. It holds the latent's row of W_dec,
reads the entries' rows of g and x once, and writes one row of dW_dec and of dW_enc, one number of
db_enc, and dz of its entries. Latents with more entries have extra pieces, whose rows stand behind
those of the M latents; a second kernel adds them in order, so no sum depends on chance. There are
at most n / PIECE extra pieces, hence no copy to the host. One program holds two whole rows: D up to
about 8,192. Sums are in float32, in float64 for float64. Sizes are not tuned on a card.
"""

from dataclasses import dataclass
from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.kernels.latent_gradients import LatentGradients
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.transposed_code import transpose_code

PIECE = 128
BLOCK_ENTRIES = 4
MAX_BLOCK_COLUMNS = 256


@dataclass(frozen=True, slots=True)
class Pieces:
    """Runs of at most PIECE entries of one latent: the first of each latent, then the extra ones.

    P is M and the largest possible number of extra pieces; those not needed are empty.
    """

    latents: Int64[Tensor, " P"]
    """Latent of each piece."""
    firsts: Int64[Tensor, " P"]
    """Its first entry, in order of latents."""
    lasts: Int64[Tensor, " P"]
    """The entry after its last."""
    extra_starts: Int64[Tensor, " latents_and_end"]
    """Where each latent's extra pieces begin, counted from the first extra piece."""


def cut_into_pieces(latent_starts: Int64[Tensor, " latents_and_end"], n: int) -> Pieces:
    """Return the pieces of n entries; all of it stays on the device."""
    n_latents = len(latent_starts) - 1
    latents = torch.arange(n_latents, device=latent_starts.device)
    n_extra = (latent_starts.diff() - 1).clamp_min(0) // PIECE
    extra_starts = torch.cat([n_extra.new_zeros(1), n_extra.cumsum(0)])
    extra = torch.arange(n // PIECE, device=latents.device)
    owners = torch.searchsorted(extra_starts, extra, right=True) - 1  # M for those not needed
    starts = torch.cat([latent_starts[:-1], latent_starts[owners]])
    starts[n_latents:] += PIECE * (1 + extra - extra_starts[owners])
    ends = torch.cat([latent_starts, latent_starts[-1:]])[torch.cat([latents, owners]) + 1]
    owners = torch.cat([latents, owners.clamp_max(n_latents - 1)])
    return Pieces(owners, starts, torch.minimum(starts + PIECE, ends), extra_starts)


def launch(
    code: RaggedCode,
    value_gradient: Float[Tensor, " n"] | None,
    output_gradient: Float[Tensor, "B D"] | None,
    W_dec: Float[Tensor, "M D"] | None,
    inputs: Float[Tensor, "B D"] | None,
) -> LatentGradients:
    """Return the gradients; tensors are contiguous, and nothing is copied to the host."""
    by_latent = transpose_code(code)
    pieces = cut_into_pieces(by_latent.latent_starts, len(code.latents))
    values = torch.empty_like(code.values)
    wide = torch.promote_types(values.dtype, torch.float32)

    def piece_rows(width: int) -> Tensor:
        return values.new_empty(len(pieces.latents), width, dtype=wide)

    dW_dec = None if W_dec is None else piece_rows(W_dec.shape[1])
    dW_enc = None if inputs is None else piece_rows(inputs.shape[1])
    db_enc = None if inputs is None else piece_rows(1)
    width = next((rows.shape[1] for rows in (dW_dec, dW_enc) if rows is not None), 0)
    if code.width:
        _latent_pass[(len(pieces.latents),)](
            values,
            dW_dec,
            dW_enc,
            db_enc,
            code.values.detach(),
            value_gradient,
            output_gradient,
            W_dec,
            inputs,
            by_latent.rows,
            by_latent.positions,
            pieces.latents,
            pieces.firsts,
            pieces.lasts,
            width,
            BLOCK_ENTRIES=BLOCK_ENTRIES,
            BLOCK_COLUMNS=triton.next_power_of_2(max(width, 1)),
            WIDE=_wide(wide),
            num_warps=8,
        )
    dW_dec, dW_enc, db_enc = (
        None if rows is None else _join(rows, pieces, values.dtype)
        for rows in (dW_dec, dW_enc, db_enc)
    )
    return LatentGradients(
        values=values,
        W_dec=dW_dec,
        W_enc=dW_enc,
        b_enc=None if db_enc is None else db_enc[:, 0],
    )


def _join(rows: Float[Tensor, "P D"], pieces: Pieces, dtype: torch.dtype) -> Float[Tensor, "M D"]:
    """Return one row per latent: that of its first piece, and those of its extra pieces."""
    n_latents, width = len(pieces.extra_starts) - 1, rows.shape[1]
    block_columns = min(MAX_BLOCK_COLUMNS, triton.next_power_of_2(max(width, 1)))
    if len(rows) > n_latents:
        _add_extra_rows[(n_latents, triton.cdiv(width, block_columns))](
            rows, pieces.extra_starts, n_latents, width, BLOCK_COLUMNS=block_columns
        )
    return rows[:n_latents].to(dtype)


def _wide(dtype: torch.dtype) -> tl.dtype:
    return tl.float64 if dtype == torch.float64 else tl.float32


@triton.jit
@no_type_check
def _latent_pass(
    values_gradient,  # written, at the code's positions
    dW_dec,  # written, or None, like the next two
    dW_enc,
    db_enc,
    values,
    h,  # or None
    g,  # or None
    W_dec,
    x,  # or None
    rows,
    positions,
    latents,
    firsts,
    lasts,
    width,
    BLOCK_ENTRIES: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    WIDE: tl.constexpr,
):
    piece = tl.program_id(0).to(tl.int64)
    columns = tl.arange(0, BLOCK_COLUMNS)
    inside = columns < width
    last = tl.load(lasts + piece)
    if g is not None:
        own_row = tl.load(latents + piece) * width + columns
        w = tl.load(W_dec + own_row, mask=inside, other=0).to(WIDE)
        decoder = tl.zeros((BLOCK_ENTRIES, BLOCK_COLUMNS), WIDE)
    if x is not None:
        encoder = tl.zeros((BLOCK_ENTRIES, BLOCK_COLUMNS), WIDE)
        bias = tl.zeros((BLOCK_ENTRIES,), WIDE)
    for entry in range(tl.load(firsts + piece), last, BLOCK_ENTRIES):
        entries = entry + tl.arange(0, BLOCK_ENTRIES)
        there = entries < last
        row = tl.load(rows + entries, mask=there, other=0)
        position = tl.load(positions + entries, mask=there, other=0)
        places = row[:, None] * width + columns[None, :]
        readable = there[:, None] & inside[None, :]
        dz = tl.zeros((BLOCK_ENTRIES,), WIDE)
        if h is not None:
            dz += tl.load(h + position, mask=there, other=0).to(WIDE)
        if g is not None:
            g_rows = tl.load(g + places, mask=readable, other=0).to(WIDE)
            z = tl.load(values + position, mask=there, other=0).to(WIDE)
            decoder += z[:, None] * g_rows
            dz += tl.sum(g_rows * w[None, :], axis=1)
        tl.store(values_gradient + position, dz, mask=there)
        if x is not None:
            x_rows = tl.load(x + places, mask=readable, other=0).to(WIDE)
            encoder += dz[:, None] * x_rows
            bias += dz
    target = piece * width + columns
    if g is not None:
        tl.store(dW_dec + target, tl.sum(decoder, axis=0), mask=inside)
    if x is not None:
        tl.store(dW_enc + target, tl.sum(encoder, axis=0), mask=inside)
        tl.store(db_enc + piece, tl.sum(bias, axis=0))


@triton.jit
@no_type_check
def _add_extra_rows(rows, extra_starts, n_latents, width, BLOCK_COLUMNS: tl.constexpr):
    latent = tl.program_id(0).to(tl.int64)
    first = tl.load(extra_starts + latent)
    last = tl.load(extra_starts + latent + 1)
    if first < last:
        columns = tl.program_id(1) * BLOCK_COLUMNS + tl.arange(0, BLOCK_COLUMNS)
        inside = columns < width
        total = tl.load(rows + latent * width + columns, mask=inside, other=0)
        for extra in range(first, last):
            total += tl.load(rows + (n_latents + extra) * width + columns, mask=inside, other=0)
        tl.store(rows + latent * width + columns, total, mask=inside)
