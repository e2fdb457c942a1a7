"""Circuits of a dense and a sparse model against each other, over tasks and seeds.

A pair is one task and seed: the circuit of the dense model and that of the sparse one. Ratios are
dense over sparse and averaged in three ways, since it is not known which one the paper took:

    ratio of means = mean(x) / mean(y),  mean of ratios = mean(x / y),
    geometric mean = exp(mean(log(x / y)))

over pairs. Intervals are 95 % percentile bootstraps that draw seeds and tasks with replacement,
each on its own: pairs of one seed share a model and pairs of one task its images, so they are not
independent. With few of both the intervals are rough.

Pairs in which either circuit has no edges, or misses the target loss, are left out of a comparison
and counted.
"""

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from seethrough.training.initialise import generator_for

N_RESAMPLES = 4000
Statistic = Callable[
    [Float64[Tensor, "*draws pairs"], Float64[Tensor, "*draws pairs"]], Float64[Tensor, "*draws"]
]


def ratio_of_means(
    dense: Float64[Tensor, "*draws pairs"], sparse: Float64[Tensor, "*draws pairs"]
) -> Float64[Tensor, "*draws"]:
    """Return the mean of dense values over the mean of sparse ones."""
    return dense.nanmean(dim=-1) / sparse.nanmean(dim=-1)


def mean_of_ratios(
    dense: Float64[Tensor, "*draws pairs"], sparse: Float64[Tensor, "*draws pairs"]
) -> Float64[Tensor, "*draws"]:
    """Return the mean over pairs of dense over sparse."""
    return (dense / sparse).nanmean(dim=-1)


def geometric_mean(
    dense: Float64[Tensor, "*draws pairs"], sparse: Float64[Tensor, "*draws pairs"]
) -> Float64[Tensor, "*draws"]:
    """Return the geometric mean over pairs of dense over sparse."""
    return (dense / sparse).log().nanmean(dim=-1).exp()


def mean_change(
    dense: Float64[Tensor, "*draws pairs"], sparse: Float64[Tensor, "*draws pairs"]
) -> Float64[Tensor, "*draws"]:
    """Return the mean over pairs of sparse minus dense."""
    return (sparse - dense).nanmean(dim=-1)


AVERAGES: dict[str, Statistic] = {
    "ratio_of_means": ratio_of_means,
    "mean_of_ratios": mean_of_ratios,
    "geometric_mean": geometric_mean,
}


def with_interval(
    statistic: Statistic,
    dense: Float64[Tensor, "seeds tasks"],
    sparse: Float64[Tensor, "seeds tasks"],
    seed: int = 0,
) -> tuple[float, float, float]:
    """Return a statistic of the pairs with the ends of its interval.

    Pairs that are NaN in either are left out. Without pairs all three are NaN; the ends are NaN for
    a single one.
    """
    known = ~(dense.isnan() | sparse.isnan())
    if not known.any():
        return math.nan, math.nan, math.nan
    dense, sparse = dense.where(known, torch.nan), sparse.where(known, torch.nan)
    value = float(statistic(dense.flatten(), sparse.flatten()))
    if int(known.sum()) < 2:
        return value, math.nan, math.nan
    rows, columns = drawn(dense.shape[0], dense.shape[1], seed)
    draws = statistic(
        dense[rows[:, :, None], columns[:, None, :]].flatten(1),
        sparse[rows[:, :, None], columns[:, None, :]].flatten(1),
    )
    # A draw may hold left-out pairs alone.
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = draws[~draws.isnan()].quantile(ends).tolist()
    return value, low, high


def drawn(n_seeds: int, n_tasks: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return the seeds and the tasks of every resample, (resamples, seeds) and (.., tasks)."""
    generator = generator_for(seed, "pairs of circuits")
    return (
        torch.randint(n_seeds, (N_RESAMPLES, n_seeds), generator=generator),
        torch.randint(n_tasks, (N_RESAMPLES, n_tasks), generator=generator),
    )


def usable(
    dense_edges: Float64[Tensor, "seeds tasks"],
    sparse_edges: Float64[Tensor, "seeds tasks"],
    reached: Sequence[Float64[Tensor, "seeds tasks"]],
) -> Float64[Tensor, "seeds tasks"]:
    """Return 1 for pairs that can be compared and NaN for the others."""
    fine = (dense_edges > 0) & (sparse_edges > 0)
    for flags in reached:
        fine &= flags > 0
    return torch.ones_like(dense_edges).where(fine, torch.nan)
