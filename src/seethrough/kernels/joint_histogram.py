"""How often each bin of each latent meets each class of each factor, in one pass over the codes.

    counts_f[l, b, c] = #{n : bin_nl = b and factor_nf = c}

Shapes: codes or bins [N, L], factors [N, F], counts_f [L, n_bins, classes of f]; N samples,
L latents, F factors. In torch: `joint_histogram_reference`. Counts are exact, in int64.

The first bin is never counted: its counts are what the other bins leave of the class totals. A
sparse code lies at its minimum almost everywhere, so nearly all of its work is to find the few
entries that do not. Counts of all factors lie side by side in one table [L, n_bins, classes in all]
and are returned as its views: no padding, one array to fill, and factors of 3 and of 1,000 classes
next to each other cost what they hold.

Bytes: codes read once, 8 L n_bins classes written, blocks of a few MB between. Work: about 10
operations per code, F integer additions per code outside the first bin (a CPU counts dense codes in
fewer: factors of few classes as one). Integers are added in any order, so results do not depend on
it. NaN: ValueError. No samples: zeros.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, Int32, Int64
from torch import Tensor
from torch.nn.functional import one_hot

from seethrough.kernels.bin_grid import BinGrid
from seethrough.kernels.joint_histogram_cpu import add_counts
from seethrough.kernels.joint_histogram_sources import BinSource, CodeSource
from seethrough.kernels.triton_path import takes_triton

Counts = tuple[Int64[Tensor, "L n_bins _"], ...]


def joint_histogram(
    bins: Int[Tensor, "N L"],
    factors: Int[Tensor, "_ F"],
    n_bins: int,
    factor_sizes: Sequence[int],
) -> Counts:
    """Return for each factor the counts of (latent, bin, class), from bins 0 to n_bins - 1.

    Classes of factor f are 0 to factor_sizes[f] - 1. Bin 0 should be the commonest, for speed only.

    >>> bins, factors = torch.tensor([[0], [1], [1]]), torch.tensor([[0], [1], [1]])
    >>> joint_histogram(bins, factors, 2, [2])[0].tolist()
    [[[1, 0], [0, 2]]]

    Raises ValueError for bins or classes outside their range, sample counts that differ, n_bins or
    a size below 1, or another number of sizes than of factors.
    """
    labels = _labels(factors, factor_sizes, len(bins))
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}, allowed is at least 1")
    table = _table(bins, n_bins, factor_sizes)
    if takes_triton(bins.device):
        from seethrough.kernels.joint_histogram_triton import launch_bins

        _refuse(launch_bins(bins, labels, table), f"bins, allowed are 0 to {n_bins - 1}")
    else:
        _count_on_cpu(BinSource(bins, n_bins), labels, factor_sizes, table)
    return _split(table, labels, factor_sizes)


def joint_histogram_of_codes(
    codes: Float[Tensor, "N L"],
    factors: Int[Tensor, "_ F"],
    grid: BinGrid,
    factor_sizes: Sequence[int],
) -> Counts:
    """Return for each factor the counts of (latent, bin, class), with codes binned on the way.

    Equal to `joint_histogram(grid.bins(codes.T).T, ...)`, bit for bit, without that array. Counts
    of batches of samples add up to those of all, so codes need not be held at once either, if the
    grid is that of their least and largest values over all batches:
    `EqualWidthGrid.of(torch.stack([low, high], dim=1), n_bins)`.

    Raises ValueError for codes that are NaN or lie outside the grid, a grid of another number of
    latents, and what `joint_histogram` raises.
    """
    labels = _labels(factors, factor_sizes, len(codes))
    if len(grid.edges) != codes.shape[1]:
        raise ValueError(
            f"the grid has {len(grid.edges)} latents, allowed is that of codes, {codes.shape[1]}"
        )
    table = _table(codes, grid.edges.shape[1] - 1, factor_sizes)
    if takes_triton(codes.device):
        from seethrough.kernels.joint_histogram_triton import launch_codes

        _refuse(launch_codes(codes, grid, labels, table), "codes that are NaN or outside the grid")
    else:
        _count_on_cpu(CodeSource.of(codes, grid), labels, factor_sizes, table)
    return _split(table, labels, factor_sizes)


def joint_histogram_reference(
    bins: Int[Tensor, "N L"],
    factors: Int[Tensor, "N F"],
    n_bins: int,
    factor_sizes: Sequence[int],
) -> Counts:
    """Return what `joint_histogram` returns, as products of one-hot codes and classes."""
    of_bins = one_hot(bins.long(), n_bins)  # (N, L, n_bins)
    columns = zip(factors.long().T, factor_sizes, strict=True)
    return tuple(
        torch.einsum("nlb,nc->lbc", of_bins, one_hot(column, size)) for column, size in columns
    )


def _labels(
    factors: Int[Tensor, "_ F"], sizes: Sequence[int], n_samples: int
) -> Int64[Tensor, "_ F"]:
    """Return the place of every class among the classes of all factors."""
    if len(factors) != n_samples or factors.shape[1] != len(sizes):
        raise ValueError(
            f"factors have shape {tuple(factors.shape)}, allowed is {n_samples} samples and "
            f"{len(sizes)} columns, as codes and factor_sizes have"
        )
    if min(sizes, default=1) < 1:
        raise ValueError(f"factor_sizes are {tuple(sizes)}, allowed are sizes of at least 1")
    limits = torch.tensor([0, *sizes], dtype=torch.int64, device=factors.device)
    labels = factors.long()
    if bool(((labels < 0) | (labels >= limits[1:])).any()):
        low, high = labels.amin(dim=0).tolist(), labels.amax(dim=0).tolist()
        raise ValueError(
            f"classes of factors go from {low} to {high}, allowed are 0 to below {tuple(sizes)}"
        )
    return labels + limits.cumsum(0)[:-1]


def _table(
    codes: Float[Tensor, "N L"] | Int[Tensor, "N L"], n_bins: int, sizes: Sequence[int]
) -> Int64[Tensor, "L n_bins C"]:
    if n_bins * max(sizes, default=1) >= 1 << 31:
        raise ValueError(
            f"n_bins times classes is {n_bins} x {max(sizes)}, allowed is below 2 ** 31"
        )
    shape = codes.shape[1], n_bins, sum(sizes)
    return torch.zeros(shape, dtype=torch.int64, device=codes.device)


def _count_on_cpu(
    source: BinSource | CodeSource,
    labels: Int64[Tensor, "N F"],
    sizes: Sequence[int],
    table: Int64[Tensor, "L n_bins C"],
) -> None:
    """Count into a table of any device; codes come over block by block, the table at once."""
    counts = table.cpu()
    add_counts(source, labels.cpu().numpy(), sizes, counts.numpy())
    table.copy_(counts)


def _split(
    table: Int64[Tensor, "L n_bins C"], labels: Int64[Tensor, "N F"], sizes: Sequence[int]
) -> Counts:
    """Return the counts of each factor, with those of the first bin filled in."""
    totals = torch.bincount(labels.reshape(-1), minlength=table.shape[2]).to(table.device)
    torch.sub(totals, table[:, 1:].sum(dim=1), out=table[:, 0])
    return torch.split(table, list(sizes), dim=2) if sizes else ()


def _refuse(n_wrong: Int32[Tensor, " 1"], what: str) -> None:
    """Raise ValueError if any were counted; reading the number waits for the card."""
    if int(n_wrong):
        raise ValueError(f"got {int(n_wrong)} {what}")
