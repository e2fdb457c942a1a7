"""Joint counts on a card: one read of the codes, integer additions outside the first bin only.

A program holds a tile of samples and latents. Lanes lie along latents, as codes in C order do, so
the lanes of a warp add to the tables of different latents and do not wait for one another; programs
that run together share a block of latents, whose counts stay in the second-level cache. A sparse
code makes few additions, so reading it is what remains. Nothing waits for the card: the number of
refused codes is returned where it was counted.
"""

from typing import no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor

from seethrough.kernels.bin_grid import EDGE_TOLERANCE, BinGrid, code_range, narrow_bins

# Not tuned on a card: 32 codes a lane at 4 warps.
TILE = 4096
MAX_TILE_LATENTS = 128


@triton.jit
@no_type_check
def _grid_bins(codes, latent, inside, low, high, scale, offset, edges, n_bins, TOLERANCE):
    """Bins of a tile of codes, -1 for NaN and for codes outside the range of their latent."""
    there = latent < inside
    codes = codes.to(tl.float64)
    least = tl.load(low + latent, mask=there, other=0.0)[None, :]
    most = tl.load(high + latent, mask=there, other=0.0)[None, :]
    fits = (codes >= least) & (codes <= most)  # not so for NaN
    codes = tl.where(fits, codes, least)
    per_code = tl.load(scale + latent, mask=there, other=0.0)[None, :]
    position = codes * per_code + tl.load(offset + latent, mask=there, other=0.0)[None, :]
    below = tl.minimum((position - TOLERANCE).to(tl.int32), n_bins - 1)
    # Only next to an edge do the two disagree; then the edge itself decides.
    unsure = below != (position + TOLERANCE).to(tl.int32)
    next_edge = latent[None, :].to(tl.int64) * (n_bins + 1) + below + 1
    edge = tl.load(edges + next_edge, mask=unsure & there[None, :], other=float("inf"))
    found = tl.minimum(tl.where(codes >= edge, below + 1, below), n_bins - 1)
    return tl.where(fits, found, -1)


@triton.jit
@no_type_check
def _count(
    codes,
    labels,
    table,
    n_wrong,
    low,
    high,
    scale,
    offset,
    edges,
    n_samples,
    n_latents,
    sample_stride,
    latent_stride,
    n_bins,
    n_classes,
    N_FACTORS: tl.constexpr,
    ON_GRID: tl.constexpr,
    TOLERANCE: tl.constexpr,
    SAMPLES: tl.constexpr,
    LATENTS: tl.constexpr,
):
    sample = tl.program_id(0) * SAMPLES + tl.arange(0, SAMPLES)
    latent = tl.program_id(1) * LATENTS + tl.arange(0, LATENTS)
    present = sample < n_samples
    inside = present[:, None] & (latent < n_latents)[None, :]
    rows = sample.to(tl.int64)[:, None] * sample_stride
    code = tl.load(
        codes + rows + latent.to(tl.int64)[None, :] * latent_stride, mask=inside, other=0
    )
    if ON_GRID:
        found = _grid_bins(
            code, latent, n_latents, low, high, scale, offset, edges, n_bins, TOLERANCE
        )
    else:
        found = code.to(tl.int64)
    wrong = tl.sum((inside & ((found < 0) | (found >= n_bins))).to(tl.int32))
    tl.atomic_add(n_wrong, wrong, mask=wrong > 0)
    counted = inside & (found > 0) & (found < n_bins)
    cell = (latent.to(tl.int64)[None, :] * n_bins + found) * n_classes
    one = tl.full([SAMPLES, LATENTS], 1, tl.int64)
    for factor in tl.static_range(N_FACTORS):
        label = tl.load(labels + sample * N_FACTORS + factor, mask=present, other=0)
        tl.atomic_add(table + cell + label[:, None], one, mask=counted, sem="relaxed")


def launch_bins(
    bins: Int[Tensor, "N L"], labels: Int64[Tensor, "N F"], table: Int64[Tensor, "L n_bins C"]
) -> Int32[Tensor, " 1"]:
    """Add the counts outside the first bin to the table; return how many bins were out of range."""
    n_wrong = torch.zeros(1, dtype=torch.int32, device=bins.device)
    unused = (n_wrong,) * 5
    _launch(bins, labels, table, n_wrong, unused, on_grid=False)
    return n_wrong


def launch_codes(
    codes: Float[Tensor, "N L"],
    grid: BinGrid,
    labels: Int64[Tensor, "N F"],
    table: Int64[Tensor, "L n_bins C"],
) -> Int32[Tensor, " 1"]:
    """Add the counts outside the first bin to the table; return how many codes were refused.

    Latents whose range is too narrow for an estimate are found by reading one flag each from the
    card, and counted again.
    """
    low, high = code_range(grid)
    tensors = (low, high, grid.scale, grid.offset, grid.edges)
    n_wrong = torch.zeros(1, dtype=torch.int32, device=codes.device)
    _launch(codes, labels, table, n_wrong, tuple(t.contiguous() for t in tensors), on_grid=True)
    # A loop over codes: a large offset with a tiny spread is rare.
    for latent in grid.narrow.nonzero()[:, 0].tolist():
        # Codes below the range were refused above and are not counted as wrong twice.
        found = narrow_bins(grid.edges[latent], codes[:, latent])[:, None].clamp_min(0)
        n_wrong += launch_bins(found, labels, table[latent : latent + 1])
    return n_wrong


def _launch(
    codes: Float[Tensor, "N L"] | Int[Tensor, "N L"],
    labels: Int64[Tensor, "N F"],
    table: Int64[Tensor, "L n_bins C"],
    n_wrong: Int32[Tensor, " 1"],
    grid_tensors: tuple[Tensor, ...],
    *,
    on_grid: bool,
) -> None:
    if codes.numel() == 0:
        return
    n_samples, n_latents = codes.shape
    tile_latents = min(MAX_TILE_LATENTS, triton.next_power_of_2(n_latents))
    tile_samples = min(TILE // tile_latents, triton.next_power_of_2(n_samples))
    programs = (triton.cdiv(n_samples, tile_samples), triton.cdiv(n_latents, tile_latents))
    with torch.cuda.device_of(codes):  # type: ignore[no-untyped-call]
        _count[programs](
            codes,
            labels.contiguous(),
            table,
            n_wrong,
            *grid_tensors,
            n_samples,
            n_latents,
            *codes.stride(),
            *table.shape[1:],
            labels.shape[1],
            on_grid,
            EDGE_TOLERANCE,
            tile_samples,
            tile_latents,
        )
