"""Top-k of every row: its largest positive entries, as a ragged code.

    keep z_bm  where  z_bm > 0  and fewer than k entries of row b come before it

with z the pre-activations (B M). Larger entries come before smaller ones and, of equal ones, lower
latents. Torch equivalent: `z.relu().topk(k)` of every row, but without the zeros that it may choose
and with that rule for ties. Bytes: z is read once on a CPU (`row_topk_cpu`), twice on a card
(`row_topk_triton`). +inf is the largest entry, -inf is never kept, NaN is refused. Every path gives
the same bytes. The selection is that of {cite:t}`gao2024scaling`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.kernels import row_topk_cpu
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import check_selection, flat_code, row_topk_reference
from seethrough.kernels.triton_path import takes_triton


@torch.no_grad()
def row_topk(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the min(k, number of positive entries) largest positive entries of every row.

    The values carry no gradients (`sparse_encode` gives them theirs). On a card the number of
    entries is copied to the host, once, at the end. A batch without entries gives an empty code.

    >>> import torch
    >>> row_topk(torch.tensor([[3.0, 2.0, -1.0], [2.0, 0.5, 2.0]]), 1).dense().tolist()
    [[3.0, 0.0, 0.0], [2.0, 0.0, 0.0]]

    Raises ValueError for k below 1, numbers of another type, or NaN.
    """
    check_selection(pre_activations, k_per_sample)
    if pre_activations.numel() == 0:
        nowhere = torch.arange(0, device=pre_activations.device)
        return flat_code(nowhere, pre_activations.flatten(), pre_activations.shape)
    if takes_triton(pre_activations.device):
        from seethrough.kernels import row_topk_triton  # triton is an optional dependency

        return row_topk_triton.launch(pre_activations, k_per_sample)
    if pre_activations.device.type == "cpu":
        return row_topk_cpu.select(pre_activations, k_per_sample)
    return row_topk_reference(pre_activations, k_per_sample)
