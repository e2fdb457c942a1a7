"""Spearman's rank correlation of many pairs of rows at once."""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seethrough.neurons.mid_ranks import mid_ranks


def rank_correlation(
    first: Float[Tensor, "R N"], second: Float[Tensor, "R N"]
) -> Float64[Tensor, " R"]:
    """Return Spearman's rank correlation of each row of one with the same row of the other.

    -1 to 1; equal values share their mean rank. NaN for a row with NaN on either side, or whose
    values on one side are all equal.

    >>> first = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    >>> rank_correlation(first, torch.tensor([[10.0, 20.0, 90.0], [3.0, 3.0, 3.0]]))
    tensor([1., nan], dtype=torch.float64)
    """
    known = ~(first.isnan() | second.isnan()).any(dim=1)
    one, other = _centred_ranks(first), _centred_ranks(second)
    scale = (one.square().sum(dim=1) * other.square().sum(dim=1)).sqrt()
    correlation = (one * other).sum(dim=1) / scale  # 0 / 0 where all are equal
    return torch.where(known, correlation.clamp(-1, 1), torch.nan)


def _centred_ranks(values: Float[Tensor, "R N"]) -> Float64[Tensor, "R N"]:
    ranks = mid_ranks(values)
    return ranks - ranks.mean(dim=1, keepdim=True)
