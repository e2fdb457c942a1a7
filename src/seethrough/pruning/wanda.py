"""Wanda: a weight matters as much as its size times the norm of what it multiplies.

    S_ij = |W_ij| ||X_j||_2

X_j holds input feature j over all calibration tokens ({cite:t}`sun2024wanda`). The published code
takes the mean square instead of the sum: the same order within a layer.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.pruning.selection import keep_highest


def wanda_mask(
    weight: Float[Tensor, "out in"],
    input_norm: Float[Tensor, " in_features"],
    sparsity: int | float,
    group: str = "row",
) -> Bool[Tensor, "out in"]:
    """Return True for the weights that stay when the lowest scores of each group go.

    Counts, ties and errors are those of `keep_highest`. Every output row loses as many weights;
    group "layer" lets rows differ.

    >>> import torch
    >>> wanda_mask(torch.tensor([[1.0, -3.0]]), torch.tensor([4.0, 1.0]), 0.5).tolist()
    [[True, False]]

    Raises ValueError for a norm of the wrong length.
    """
    return keep_highest(wanda_scores(weight, input_norm), sparsity, group)


def wanda_scores(
    weight: Float[Tensor, "out in"], input_norm: Float[Tensor, " in_features"]
) -> Float[Tensor, "out in"]:
    """Return |W| ||X||, in the wider precision of the two.

    Raises ValueError for a norm of the wrong length.
    """
    if len(input_norm) != weight.shape[1]:
        raise ValueError(
            f"input_norm has {len(input_norm)} features, allowed is one for each of the weight's "
            f"{weight.shape[1]} columns"
        )
    wider = torch.promote_types(weight.dtype, input_norm.dtype)
    return weight.detach().abs().to(wider).mul_(input_norm)  # in place: half the memory traffic
