"""Mutual information between binned codes and factors, and the gap built on it (MIG).

    MIG = 1/F sum_f (I_f(1) - I_f(2)) / H(v_f)

I_f(1) and I_f(2) are the largest and second largest mutual information of factor f with any code,
H(v_f) the entropy of the factor in the same sample. This is the estimator of
locatello2019challenging: each code cut into equal-width bins over its own range. The original gap
(chen2018isolating) integrates the posterior instead, so its values differ.

Symbols: N samples, M codes, F factors. All information is in nats, all arithmetic on counts in
float64. For an overcomplete code two codes usually share a factor and the gap is near 0 whatever
the code is worth: read `best_normalised_information` and `shuffled_gap` beside it.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int, Int32, Int64
from torch import Tensor

from seethrough.metrics.equal_width_bins import EqualWidthGrid

# Information below this is rounding of the sums of count logarithms and is given as 0.
ROUNDING_NATS = 1e-12
# Factors are counted together while their joint classes stay within this number: fewer passes
# over the codes, against tables that still fit in the processor's cache.
MAX_JOINT_CLASSES = 256
# Samples binned at once. On a CPU arrays that stay in cache, and below the 32,768 elements at which
# torch splits an operation over threads: that gains nothing at this size, and costs a hundredfold
# when other processes keep the cores busy.
BLOCK_SAMPLES_CPU = 32_000
BLOCK_SAMPLES_DEVICE = 1 << 24
# Counts held at once, 8 bytes each; also keeps cell numbers within int32.
MAX_CELLS = 1 << 24


def mutual_information_gap(
    codes: Float[Tensor, "N M"], factors: Int[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, ""]:
    """Return the mutual information gap, 0 to 1, averaged over factors.

    Computed as by disentanglement_lib (there with 10,000 samples, posterior means as codes, and
    the factors that vary). Ties between the two best codes give a gap of 0.

    >>> factors = torch.tensor([[0], [0], [1], [1]])
    >>> codes = torch.tensor([[0.0, 5.0], [0.0, 5.0], [1.0, 5.0], [1.0, 5.0]])
    >>> float(mutual_information_gap(codes, factors, n_bins=2))
    1.0

    Raises:
        ValueError: fewer than two codes, a factor that is constant in the sample, or what
            `mutual_information` refuses.
    """
    if codes.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 codes, got {codes.shape[1]}")
    normalised = normalised_information(codes, factors, n_bins)
    best = normalised.topk(2, dim=0).values
    return (best[0] - best[1]).mean()


def best_normalised_information(
    codes: Float[Tensor, "N M"], factors: Int[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, " F"]:
    """Return, for each factor, I / H of the one code that tells most about it, 0 to 1.

    Unlike the gap it does not fall when a second code carries the same factor.

    Raises:
        ValueError: a factor that is constant in the sample, or what `mutual_information` refuses.
    """
    return normalised_information(codes, factors, n_bins).amax(dim=0)


def shuffled_gap(
    codes: Float[Tensor, "N M"],
    factors: Int[Tensor, "N F"],
    generator: torch.Generator,
    n_bins: int = 20,
) -> Float64[Tensor, ""]:
    """Return the gap after shuffling the samples of the codes against those of the factors.

    The control for `mutual_information_gap`: shuffled codes know nothing of the factors, so what
    is left is the bias of the estimate from a finite sample.
    """
    order = torch.randperm(len(codes), generator=generator, device=generator.device)
    return mutual_information_gap(codes[order.to(codes.device)], factors, n_bins)


def factor_entropies(factors: Int[Tensor, "N F"]) -> Float64[Tensor, " F"]:
    """Return the entropy of each factor in the sample, in nats; 0 for a constant factor.

    Raises:
        ValueError: no samples, or a negative class.
    """
    n = len(factors)
    columns = _factor_columns(factors)
    table = _count_log_count(n, factors.device)
    # A loop over factors, which are few; each has its own number of classes.
    sums = [table[torch.bincount(labels, minlength=size)].sum() for labels, size in columns]
    return _without_rounding((table[n] - torch.stack(sums)) / n)


def mutual_information(
    codes: Float[Tensor, "N M"], factors: Int[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, "M F"]:
    """Return the mutual information of every binned code with every factor, in nats.

    Codes are binned by `equal_width_bins`; a constant code shares no information. Factors are
    classes from 0. The estimate is biased upward by about (bins - 1)(classes - 1) / (2 N) nats.

    One pass of counting serves several factors, and no array larger than one block of codes is
    made: about 3 reads of N M values instead of M F passes over pairs.

    Raises:
        ValueError: sample counts that differ, no samples, no codes, no factors, a negative class,
            NaN or an infinity in a code, or `n_bins` below 1.
    """
    if len(codes) != len(factors):
        raise ValueError(
            f"codes and factors need equal sample counts, got {len(codes)} and {len(factors)}"
        )
    if codes.shape[1] == 0:
        raise ValueError("codes need at least one column, got none")
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    columns = _factor_columns(factors.to(codes.device))
    groups = _group_factors(columns)
    grid = EqualWidthGrid.of(codes.T, n_bins)
    table = _count_log_count(len(codes), codes.device)
    information = torch.empty(
        codes.shape[1], len(columns), dtype=torch.float64, device=codes.device
    )
    cells_per_code = n_bins * max(group.size for group in groups)
    # A loop over blocks of codes bounds the memory of the counts; one block is the common case.
    for some in _slices(codes.shape[1], MAX_CELLS // cells_per_code):
        counts = _pair_counts(codes[:, some], grid.rows(some), groups)
        for group, group_counts in zip(groups, counts, strict=True):
            information[some, group.factors] = _information(group_counts, group.sizes, table)
    return information


def normalised_information(
    codes: Float[Tensor, "N M"], factors: Int[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, "M F"]:
    """Return the mutual information of every binned code with every factor over H(v_f), 0 to 1.

    Raises:
        ValueError: a factor that is constant in the sample, or what `mutual_information` refuses.
    """
    entropies = factor_entropies(factors).to(codes.device)
    constant = (entropies == 0).nonzero()[:, 0].tolist()
    if constant:
        raise ValueError(f"every factor must vary in the sample, got constant columns {constant}")
    return mutual_information(codes, factors, n_bins) / entropies


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _FactorGroup:
    """Factors that are counted together, as one factor whose classes are all their combinations."""

    factors: list[int]
    """Columns of the factors."""
    sizes: list[int]
    """Number of classes of each."""
    labels: Int32[Tensor, " N"]
    """Joint class of each sample, last factor fastest."""

    @property
    def size(self) -> int:
        """Number of joint classes."""
        return math.prod(self.sizes)


def _pair_counts(
    codes: Float[Tensor, "N M"], grid: EqualWidthGrid, groups: list[_FactorGroup]
) -> list[Int64[Tensor, "M bins _"]]:
    """Return, for each group, how often each bin of each code meets each joint class."""
    n_bins = grid.edges.shape[1] - 1
    parts: list[list[Tensor]] = [[] for _ in groups]
    # A loop over blocks of codes keeps each block's arrays in cache.
    for some in _slices(codes.shape[1], _block_samples(codes.device) // len(codes)):
        cells = grid.rows(some).bins(codes[:, some].T)  # (block, N)
        block = torch.arange(len(cells), dtype=torch.int32, device=codes.device)
        cells += block[:, None] * n_bins  # code and bin in one number
        for part, group in zip(parts, groups, strict=True):
            pairs = torch.mul(cells, group.size).add_(group.labels)
            n_cells = len(cells) * n_bins * group.size
            counts = torch.bincount(pairs.view(-1), minlength=n_cells)
            part.append(counts.view(len(cells), n_bins, group.size))
    return [torch.cat(part) for part in parts]


def _information(
    counts: Int64[Tensor, "M bins joint"],
    sizes: list[int],
    count_log_count: Float64[Tensor, " counts"],
) -> Float64[Tensor, "M group"]:
    """Return I(code, factor) for each factor of a group from the group's joint counts.

    N I = sum c log c over pairs - over bins - over classes + N log N.
    """
    n = len(count_log_count) - 1
    bin_sum = count_log_count[counts.sum(dim=2)].sum(dim=1)  # (M,)
    by_factor = counts.view(*counts.shape[:2], *sizes)  # (M, bins, classes of each factor)
    per_factor = []
    for axis in range(len(sizes)):  # at most a handful of factors share a group
        others = [2 + other for other in range(len(sizes)) if other != axis]
        pair = by_factor.sum(dim=others) if others else counts  # (M, bins, classes)
        pair_sum = count_log_count[pair].sum(dim=(1, 2))
        class_sum = count_log_count[pair.sum(dim=1)].sum(dim=1)
        per_factor.append(pair_sum - bin_sum - class_sum + count_log_count[n])
    return _without_rounding(torch.stack(per_factor, dim=1) / n)


def _without_rounding(nats: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    return torch.where(nats > ROUNDING_NATS, nats, 0.0)


def _count_log_count(n: int, device: torch.device) -> Float64[Tensor, " counts"]:
    """Return c log c for every count c from 0 to n; 0 log 0 is 0."""
    counts = torch.arange(n + 1, dtype=torch.float64, device=device)
    return torch.xlogy(counts, counts)


def _factor_columns(factors: Int[Tensor, "N F"]) -> list[tuple[Int32[Tensor, " N"], int]]:
    """Return (classes, number of classes) of each factor."""
    if 0 in factors.shape:
        raise ValueError(
            f"factors need at least one sample and one column, got shape {tuple(factors.shape)}"
        )
    low, high = torch.aminmax(factors.long(), dim=0)
    if bool((low < 0).any()):
        raise ValueError(f"factor classes must be 0 or above, got {int(low.min())}")
    columns = []
    for labels, largest in zip(factors.T, high.tolist(), strict=True):
        size = largest + 1
        if size > len(labels):  # sparse class numbers: keep the tables no larger than the sample
            values, labels = torch.unique(labels, return_inverse=True)
            size = len(values)
        columns.append((labels.to(torch.int32), size))
    return columns


def _group_factors(columns: list[tuple[Int32[Tensor, " N"], int]]) -> list[_FactorGroup]:
    """Return the factors, grouped so that each group has at most MAX_JOINT_CLASSES classes.

    First fit, largest factor first; a larger factor stands alone.
    """
    sizes = [size for _, size in columns]
    members: list[list[int]] = []
    for factor in sorted(range(len(sizes)), key=lambda f: -sizes[f]):
        for group in members:
            if sizes[factor] * math.prod(sizes[f] for f in group) <= MAX_JOINT_CLASSES:
                group.append(factor)
                break
        else:
            members.append([factor])
    return [_join(columns, group) for group in members]


def _join(columns: list[tuple[Int32[Tensor, " N"], int]], factors: list[int]) -> _FactorGroup:
    labels, _ = columns[factors[0]]
    for factor in factors[1:]:
        labels = labels * columns[factor][1] + columns[factor][0]
    return _FactorGroup(factors=factors, sizes=[columns[f][1] for f in factors], labels=labels)


def _slices(total: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def _block_samples(device: torch.device) -> int:
    return BLOCK_SAMPLES_CPU if device.type == "cpu" else BLOCK_SAMPLES_DEVICE
