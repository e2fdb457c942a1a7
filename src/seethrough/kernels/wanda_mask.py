"""Wanda in one step: score, choice of what goes, pruned weight and mask.

    S_ij = |W_ij| ||X_j||_2,    pruned_ij = W_ij where S_ij is among the highest, else 0

A row loses its int(in * sparsity) lowest scores, or each group of m consecutive inputs its m - n
lowest ({cite:t}`sun2024wanda`). Counts, ties (of equal scores the earlier column goes first),
precision of the scores and errors are those of `pruning.wanda`, `pruning.selection` and
`pruning.semi_structured`, which compute the masks on a CPU.

Shapes: weight [out, in], input_norm [in], pruned and mask [out, in].
In torch: mask = wanda_mask(weight, input_norm, sparsity); pruned = weight.masked_fill(~mask, 0).
Bytes, with b per weight: (2 b + 1) out in, the weight read and the result written once; on a card
nothing lies between, torch writes and reads scores, order and mask in turn. Work: one product per
weight, then 32 comparisons (64 in double precision) for a row, or m for a group.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seethrough.kernels.triton_path import takes_triton
from seethrough.pruning.prunable_layers import n_removed
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.wanda import wanda_mask, wanda_scores

WIDEST_TRITON_ROW = 1 << 15
"""Longest row that the Triton kernel holds in registers: 64 scores a lane at 16 warps."""
TRITON_DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


def prune_rows(
    weight: Float[Tensor, "out in"],
    input_norm: Float[Tensor, " in_features"],
    sparsity: int | float,
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"]]:
    """Return the weight with the lowest scores of every row at 0, and True for what was kept.

    Every row of d weights loses int(d * sparsity); the result is new and carries no gradient.

    >>> pruned, mask = prune_rows(torch.tensor([[1.0, -3.0]]), torch.tensor([4.0, 1.0]), 0.5)
    >>> pruned.tolist(), mask.tolist()
    ([[1.0, 0.0]], [[True, False]])

    Raises ValueError for NaN scores, a sparsity outside 0 to 1 or a norm of the wrong length.
    """
    n_low = n_removed(weight.shape[1], sparsity)
    if not _fits_triton(weight, input_norm):
        return _apply(weight, wanda_mask(weight, input_norm, sparsity))
    from seethrough.kernels.wanda_mask_triton import launch_rows

    wanda_scores(weight[:0], input_norm)  # refuses a norm that does not fit
    return _without_nan(*launch_rows(weight, input_norm, n_low))


def prune_n_of_m(
    weight: Float[Tensor, "out in"], input_norm: Float[Tensor, " in_features"], n: int, m: int
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"]]:
    """Return the weight with all but the n highest scores of every m at 0, and True for the kept.

    Groups are of m consecutive inputs; n of m is 2 of 4 or 4 of 8. The result is new and carries no
    gradient.

    >>> weight = torch.tensor([[4.0, 1.0, 1.0, -2.0]])
    >>> prune_n_of_m(weight, torch.ones(4), 2, 4)[0].tolist()
    [[4.0, 0.0, 0.0, -2.0]]

    Raises ValueError for NaN scores, another n or m, rows that are no whole groups, or a norm of
    the wrong length.
    """
    pattern = f"{n}:{m}"
    if not _fits_triton(weight, input_norm):
        return _apply(weight, semi_structured_mask(wanda_scores(weight, input_norm), pattern))
    from seethrough.kernels.wanda_mask_triton import launch_groups

    semi_structured_mask(wanda_scores(weight[:0], input_norm), pattern)  # refuses what does not fit
    return _without_nan(*launch_groups(weight, input_norm, n, m))


def _fits_triton(weight: Float[Tensor, "out in"], input_norm: Float[Tensor, " _"]) -> bool:
    return (
        takes_triton(weight.device)
        and weight.numel() > 0
        and weight.shape[1] <= WIDEST_TRITON_ROW
        and {weight.dtype, input_norm.dtype} <= set(TRITON_DTYPES)
    )


def _apply(
    weight: Float[Tensor, "out in"], mask: Bool[Tensor, "out in"]
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"]]:
    return weight.detach().masked_fill(~mask, 0), mask


def _without_nan(
    pruned: Float[Tensor, "out in"], mask: Bool[Tensor, "out in"], n_nan: Int[Tensor, " 1"]
) -> tuple[Float[Tensor, "out in"], Bool[Tensor, "out in"]]:
    """Return the result; reading the count waits for the card, once per call."""
    if int(n_nan):
        raise ValueError(f"scores must not be NaN, got {int(n_nan)} of them")
    return pruned, mask
