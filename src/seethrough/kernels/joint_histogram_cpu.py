"""Joint counts on a CPU: few entries one by one, dense latents by one count for several factors.

A latent that leaves its first bin seldom has those entries picked out, in one sweep over the codes
as they lie, and added to the counts. Any other is copied so that its samples lie side by side, and
binned in tiles that stay in cache, then counted against joint classes: factors of few classes are
counted as one factor whose classes are all combinations, and summed over the others afterwards.
The first bin of the table is left for the caller to fill.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from jaxtyping import Bool, Int32, Int64, Shaped

from seethrough.kernels.joint_histogram_sources import BinSource, CodeSource

# Codes binned and counted at once: their arrays stay in cache.
TILE = 32_000
# Codes swept at once for entries outside the first bin.
SWEEP = 1 << 19
# Dense latents and samples copied at once: whole lines of memory of a code in C order, 16 MB in
# float32; samples are copied in steps whose lines stay in cache.
BLOCK_LATENTS = 32
BLOCK_SAMPLES = 4 * TILE
COPY_SAMPLES = 1000
# A latent is dense if more of it lies outside its first bin, judged by about so many samples. The
# choice decides the speed only.
DENSE_SHARE = 1 / 16
JUDGED_SAMPLES = 1000
# Factors are counted together while their joint classes stay within this number: their counts still
# fit in the processor's cache.
MAX_JOINT_CLASSES = 256
# Counts held by one block, 8 bytes each; keeps the numbers of its cells within int32.
MAX_CELLS = 1 << 24


def add_counts(
    source: BinSource | CodeSource,
    labels: Int64[np.ndarray, "N F"],
    sizes: Sequence[int],
    table: Int64[np.ndarray, "L n_bins C"],
) -> None:
    """Add to the table what falls into any bin but the first; that one holds no result.

    `labels` are places among the classes of all factors, side by side.
    """
    if source.codes.numel() == 0 or not sizes:
        return
    dense = _dense(source)
    if not dense.all():
        _add_sparse(source, ~dense, labels, table)
    groups = _group_factors(labels, sizes)
    n_latents = MAX_CELLS // (table.shape[1] * max(group.size for group in groups))
    for run in _runs(dense):
        for latents in _slices(run.start, run.stop, min(BLOCK_LATENTS, n_latents)):
            for samples in _slices(0, len(labels), BLOCK_SAMPLES):
                _add_dense(source, samples, latents, groups, table[latents])


def _dense(source: BinSource | CodeSource) -> Bool[np.ndarray, " L"]:
    """Return which latents are counted tile by tile."""
    step = max(1, len(source.codes) // JUDGED_SAMPLES)
    judged = source.read(slice(None, None, step), slice(None))
    share = np.not_equal(judged, source.first()).mean(axis=0)
    dense: Bool[np.ndarray, " L"] = (share > DENSE_SHARE) | source.narrow()
    # Between two dense latents, a few sparse ones cost less than starting again behind them.
    neighbours = np.flatnonzero(dense)
    gaps = np.diff(neighbours) - 1
    for gap in np.flatnonzero((gaps > 0) & (gaps * len(source.codes) <= TILE)):
        dense[neighbours[gap] : neighbours[gap + 1]] = True
    return dense


def _add_sparse(
    source: BinSource | CodeSource,
    sparse: Bool[np.ndarray, " L"],
    labels: Int64[np.ndarray, "N F"],
    table: Int64[np.ndarray, "L n_bins C"],
) -> None:
    """Count the entries of sparse latents outside the first bin, one by one."""
    first = source.first()
    n_latents, n_bins, n_classes = table.shape
    for samples in _slices(0, len(labels), SWEEP // n_latents):
        codes = source.read(samples, slice(None))
        away = np.not_equal(codes, first)
        away &= sparse
        row, latent = np.divmod(np.flatnonzero(away), n_latents)
        cells = latent * n_bins + source.entry_bins(codes[row, latent], latent)
        places = cells[:, None] * n_classes + labels[samples][row]  # (entries, F)
        np.add.at(table.reshape(-1), places.reshape(-1), 1)


def _add_dense(
    source: BinSource | CodeSource,
    samples: slice,
    latents: slice,
    groups: list["_FactorGroup"],
    table: Int64[np.ndarray, "some n_bins C"],
) -> None:
    """Count a block of latents, tile by tile."""
    n_bins = table.shape[1]
    block = _transposed(source, samples, latents)
    counts = [np.empty((len(table), n_bins * group.size), dtype=np.int64) for group in groups]
    for piece in _slices(0, block.shape[1], TILE):
        of_piece = slice(samples.start + piece.start, samples.start + piece.stop)
        for rows in _slices(0, len(block), TILE // (piece.stop - piece.start)):
            of_rows = slice(latents.start + rows.start, latents.start + rows.stop)
            found = source.tile_bins(block[rows, piece], of_rows)
            latent = np.arange(len(found), dtype=np.int32)
            cells = found + latent[:, None] * np.int32(n_bins)  # latent and bin in one number
            for group, of_group in zip(groups, counts, strict=True):
                new = group.count(cells, of_piece, n_bins)
                of_group[rows] = new if piece.start == 0 else of_group[rows] + new
    for group, of_group in zip(groups, counts, strict=True):
        group.add(of_group, table)


def _transposed(
    source: BinSource | CodeSource, samples: slice, latents: slice
) -> Shaped[np.ndarray, "some n"]:
    """Return a block, latent by latent."""
    codes = source.read(samples, latents)
    block = np.empty(codes.shape[::-1], dtype=codes.dtype)
    for some in _slices(0, len(codes), COPY_SAMPLES):
        block[:, some] = codes[some].T
    return block


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _FactorGroup:
    """Factors that are counted together, as one factor whose classes are all their combinations."""

    sizes: list[int]
    """Number of classes of each."""
    starts: list[int]
    """First class of each in the table."""
    labels: Int32[np.ndarray, " N"]
    """Joint class of each sample, last factor fastest."""

    @property
    def size(self) -> int:
        """Number of joint classes."""
        return math.prod(self.sizes)

    def count(
        self, cells: Int32[np.ndarray, "rows n"], samples: slice, n_bins: int
    ) -> Int64[np.ndarray, "rows _"]:
        """Return how often every bin of every row meets every joint class."""
        pairs = cells * np.int32(self.size)
        pairs += self.labels[samples]
        n_cells = len(cells) * n_bins * self.size
        # torch counts int32 as it is, in 3/4 of the time; numpy makes int64 of it first
        counts = torch.bincount(torch.from_numpy(pairs.reshape(-1)), minlength=n_cells)
        return counts.numpy().reshape(len(cells), -1)

    def add(
        self, counts: Int64[np.ndarray, "some _"], table: Int64[np.ndarray, "some n_bins C"]
    ) -> None:
        """Add joint counts to the table, factor by factor."""
        joint = counts.reshape(*table.shape[:2], *self.sizes)
        for axis, (start, size) in enumerate(zip(self.starts, self.sizes, strict=True)):
            others = tuple(2 + other for other in range(len(self.sizes)) if other != axis)
            table[:, :, start : start + size] += joint.sum(axis=others)


def _group_factors(labels: Int64[np.ndarray, "N F"], sizes: Sequence[int]) -> list[_FactorGroup]:
    """Return the factors, grouped so that each group has at most MAX_JOINT_CLASSES classes.

    First fit, largest factor first; a larger factor stands alone.
    """
    members: list[list[int]] = []
    for factor in sorted(range(len(sizes)), key=lambda f: -sizes[f]):
        for group in members:
            if sizes[factor] * math.prod(sizes[f] for f in group) <= MAX_JOINT_CLASSES:
                group.append(factor)
                break
        else:
            members.append([factor])
    # The largest factor last: sums over the others then run along memory.
    return [_join(labels, sizes, group[::-1]) for group in members]


def _join(
    labels: Int64[np.ndarray, "N F"], sizes: Sequence[int], factors: list[int]
) -> _FactorGroup:
    starts = [sum(sizes[:factor]) for factor in factors]
    joint = np.zeros(len(labels), dtype=np.int64)
    for factor, start in zip(factors, starts, strict=True):
        joint = joint * sizes[factor] + (labels[:, factor] - start)
    return _FactorGroup(
        sizes=[sizes[factor] for factor in factors], starts=starts, labels=joint.astype(np.int32)
    )


def _runs(marked: Bool[np.ndarray, " L"]) -> Iterator[slice]:
    """Yield the runs of neighbours that are marked."""
    start = 0
    for mark, group in groupby(marked.tolist()):
        stop = start + len(list(group))
        if mark:
            yield slice(start, stop)
        start = stop


def _slices(start: int, stop: int, step: int) -> Iterator[slice]:
    for first in range(start, stop, max(step, 1)):
        yield slice(first, min(first + max(step, 1), stop))
