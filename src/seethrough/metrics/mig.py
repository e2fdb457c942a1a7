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

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float64, Int, Int32, Int64
from torch import Tensor

from seethrough.kernels.joint_histogram import joint_histogram_of_codes
from seethrough.metrics.equal_width_bins import EqualWidthGrid

# Information below this is rounding of the sums of count logarithms and is given as 0.
ROUNDING_NATS = 1e-12
# Counts held at once, 8 bytes each.
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

    One pass of `joint_histogram_of_codes` over the codes serves all factors.

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
    labels = torch.stack([labels for labels, _ in columns], dim=1)
    sizes = [size for _, size in columns]
    grid = EqualWidthGrid.of(codes.T, n_bins)
    table = _count_log_count(len(codes), codes.device)
    parts = []
    # A loop over blocks of codes bounds the memory of the counts; one block is the common case.
    for some in _slices(codes.shape[1], MAX_CELLS // (n_bins * sum(sizes))):
        counts = joint_histogram_of_codes(codes[:, some], labels, grid.rows(some), sizes)
        of_factors = [_information(of_factor, table) for of_factor in counts]
        parts.append(torch.stack(of_factors, dim=1))
    return torch.cat(parts)


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


def _information(
    counts: Int64[Tensor, "M bins classes"], count_log_count: Float64[Tensor, " counts"]
) -> Float64[Tensor, " M"]:
    """Return I(code, factor) from their joint counts.

    N I = sum c log c over pairs - over bins - over classes + N log N.
    """
    n = len(count_log_count) - 1
    pair_sum = count_log_count[counts].sum(dim=(1, 2))
    bin_sum = count_log_count[counts.sum(dim=2)].sum(dim=1)
    class_sum = count_log_count[counts.sum(dim=1)].sum(dim=1)
    return _without_rounding((pair_sum - bin_sum - class_sum + count_log_count[n]) / n)


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


def _slices(total: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
