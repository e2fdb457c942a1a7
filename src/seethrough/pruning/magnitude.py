"""Magnitude pruning: the smallest weights go, whatever they multiply. The baseline of Wanda."""

from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.pruning.selection import keep_highest


def magnitude_mask(
    weight: Float[Tensor, "out in"], sparsity: int | float, group: str = "row"
) -> Bool[Tensor, "out in"]:
    """Return True for the weights that stay when the smallest |W| of each group go.

    Counts, ties and errors are those of `keep_highest`. Equal to Wanda with equal norms.

    >>> import torch
    >>> magnitude_mask(torch.tensor([[1.0, -3.0]]), 0.5).tolist()
    [[False, True]]
    """
    return keep_highest(weight.detach().abs(), sparsity, group)
