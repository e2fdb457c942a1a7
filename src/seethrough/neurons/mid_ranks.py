"""Ranks from 1 within each row, equal values sharing the mean of their ranks."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def mid_ranks(values: Float[Tensor, "R N"]) -> Float64[Tensor, "R N"]:
    """Return the rank of every value in its row, 1 to N; equal values share their mean rank.

    Multiples of 1/2, exact. NaN ranks last, each on its own.

    >>> mid_ranks(torch.tensor([[3.0, 1.0, 3.0, 2.0]]))
    tensor([[3.5000, 1.0000, 3.5000, 2.0000]], dtype=torch.float64)
    """
    doubled, order = doubled_ranks_in_order(values)
    ranks = torch.empty_like(doubled).scatter_(1, order, doubled)
    return ranks.double() / 2


def doubled_ranks_in_order(
    values: Float[Tensor, "R N"],
) -> tuple[Int64[Tensor, "R N"], Int64[Tensor, "R N"]]:
    """Return twice the mid-rank of each row's values in ascending order, and that order.

    A run of equal values at sorted positions i to j, from 0, has the mid-rank (i + j) / 2 + 1.
    """
    ascending, order = values.sort(dim=1)
    n = values.shape[1]
    position = torch.arange(n, device=values.device).expand_as(order)
    starts = torch.ones_like(order, dtype=torch.bool)
    starts[:, 1:] = ascending[:, 1:] != ascending[:, :-1]
    first = torch.where(starts, position, 0).cummax(dim=1).values
    ends = torch.ones_like(starts)
    ends[:, :-1] = starts[:, 1:]
    last = torch.where(ends, position, n).flip(1).cummin(dim=1).values.flip(1)
    return first + last + 2, order
