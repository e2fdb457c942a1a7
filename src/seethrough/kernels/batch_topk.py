"""BatchTopK: the largest positive entries of a whole batch, as a ragged code.

    keep z_bm  where  z_bm > 0  and fewer than k B entries come before it

with z the pre-activations (B M) and k B the count of the batch. Larger entries come before smaller
ones and, of equal ones, those that stand earlier in row-major order. Torch equivalent:
`z.relu().flatten().topk(k * B)`, but without the zeros that it may choose and with that rule for
ties. Bytes: a CPU reads z once (`batch_topk_cpu`), a card three times in bfloat16 and four in
float32 (`batch_topk_triton`); nothing of the size of z is written. No FLOPs, only comparisons.
+inf is the largest entry, -inf is never kept, NaN is refused. Every path gives the same bytes. The
selection is that of {cite:t}`bussmann2024batchtopk`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.kernels import batch_topk_cpu
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.topk_reference import batch_topk_reference, check_selection, flat_code
from seethrough.kernels.triton_path import takes_triton


@torch.no_grad()
def batch_topk(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the min(k B, number of positive entries) largest positive entries of the batch.

    The values carry no gradients (`sparse_encode` gives them theirs). On a card the number of
    entries is copied to the host, once, at the end. A batch without entries gives an empty code.

    >>> import torch
    >>> batch_topk(torch.tensor([[3.0, 2.0, -1.0], [0.5, 2.0, 0.0]]), 1).dense().tolist()
    [[3.0, 2.0, 0.0], [0.0, 0.0, 0.0]]

    Raises ValueError for k below 1, numbers of another type, or NaN.
    """
    check_selection(pre_activations, k_per_sample)
    if pre_activations.numel() == 0:
        nowhere = torch.arange(0, device=pre_activations.device)
        return flat_code(nowhere, pre_activations.flatten(), pre_activations.shape)
    if takes_triton(pre_activations.device):
        from seethrough.kernels import batch_topk_triton  # triton is an optional dependency

        return batch_topk_triton.launch(pre_activations, k_per_sample)
    if pre_activations.device.type == "cpu":
        return batch_topk_cpu.select(pre_activations, k_per_sample)
    return batch_topk_reference(pre_activations, k_per_sample)
