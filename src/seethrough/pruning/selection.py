"""Which entries of a score matrix stay: all but the lowest, per row or in the whole matrix.

The cost is one partial sort. A full stable sort gives the same mask, and is only ever needed to
break ties, which are rare: rows with a tie at the threshold are treated on their own.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.pruning.prunable_layers import n_removed

GROUPS = ("row", "layer")


def keep_highest(
    scores: Float[Tensor, "out in"], sparsity: int | float, group: str = "row"
) -> Bool[Tensor, "out in"]:
    """Return True for every entry but the lowest int(n sparsity) of each group of n.

    A group is a row or, for "layer", the whole matrix in row-major order. The count is exact: of
    equal scores the earlier entry goes first, as after a stable sort. Wanda's published layer rule
    removes all scores <= the sorted one at index int(n sparsity), so at least one more.

    >>> keep_highest(torch.tensor([[3.0, 1.0, 2.0, 1.0]]), 0.5).tolist()
    [[True, False, True, False]]

    Raises ValueError for NaN scores, a sparsity outside 0 to 1 or an unknown group.
    """
    check_group(group)
    if group == "layer":
        return keep_highest(scores.reshape(1, -1), sparsity).view(scores.shape)
    n_low = n_removed(scores.shape[1], sparsity)
    if scores.numel() and bool(scores.amax().isnan()):
        raise ValueError(f"scores must not be NaN, got {int(scores.isnan().sum())} of them")
    if n_low == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    threshold = _kth_smallest(scores, n_low)
    kept = scores > threshold
    n_kept = scores.shape[1] - n_low
    if int(kept.count_nonzero()) < len(scores) * n_kept:
        _keep_later_ties(kept, scores, threshold, n_kept)
    return kept


def check_group(group: str) -> None:
    """Raise ValueError unless the group is known."""
    if group not in GROUPS:
        raise ValueError(f"group is {group!r}, allowed are {', '.join(GROUPS)}")


def _kth_smallest(scores: Float[Tensor, "out in"], k: int) -> Float[Tensor, "out 1"]:
    """Return the k-th smallest score of each row, k from 1."""
    if scores.device.type != "cpu":
        return scores.kthvalue(k, dim=1, keepdim=True).values
    # numpy selects several times faster than torch on a CPU, but does not know bfloat16.
    numbers = scores.detach().to(torch.promote_types(scores.dtype, torch.float32)).numpy()
    kth = np.partition(numbers, k - 1, axis=1)[:, k - 1 : k]
    return torch.from_numpy(kth).to(scores.dtype)


def _keep_later_ties(
    kept: Bool[Tensor, "out in"],
    scores: Float[Tensor, "out in"],
    threshold: Float[Tensor, "out 1"],
    n_kept: int,
) -> None:
    """Add to `kept` the last of the entries that equal their row's threshold, to `n_kept` a row."""
    missing = n_kept - kept.sum(dim=1, keepdim=True)
    rows = missing[:, 0].nonzero()[:, 0]
    tied = scores[rows] == threshold[rows]
    n_tied = tied.sum(dim=1, keepdim=True)
    kept[rows] |= tied & (tied.cumsum(dim=1) > n_tied - missing[rows])
