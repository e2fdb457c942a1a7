"""What `batch_topk` and `row_topk` mean, by a stable sort, and what they allow.

Symbols: B inputs, M latents, n entries chosen.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.kernels.float_keys import KEY_TYPES
from seethrough.kernels.ragged_code import RaggedCode

NAN_MESSAGE = "pre_activations hold NaN, allowed are numbers and infinities"


def check_selection(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> None:
    """Raise ValueError unless k is a count and the numbers are of a type that every path knows."""
    if k_per_sample < 1:
        raise ValueError(f"k_per_sample is {k_per_sample}, allowed is a count of at least 1")
    if pre_activations.dtype not in KEY_TYPES:
        raise ValueError(
            f"pre_activations are {pre_activations.dtype}, allowed are "
            f"{', '.join(str(dtype) for dtype in KEY_TYPES)}"
        )


def batch_topk_reference(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `batch_topk` by its definition."""
    _refuse_nan(pre_activations)
    flat = pre_activations.flatten()  # [B M]
    largest = flat.argsort(descending=True, stable=True)[: k_per_sample * len(pre_activations)]
    positions = largest[flat[largest] > 0].sort().values
    return flat_code(positions, flat[positions], pre_activations.shape)


def row_topk_reference(pre_activations: Float[Tensor, "B M"], k_per_sample: int) -> RaggedCode:
    """Return the code of `row_topk` by its definition."""
    _refuse_nan(pre_activations)
    largest = pre_activations.argsort(dim=1, descending=True, stable=True)[:, :k_per_sample]
    chosen = torch.zeros_like(pre_activations, dtype=torch.bool).scatter(1, largest, True)
    positions = (chosen & (pre_activations > 0)).flatten().nonzero()[:, 0]
    return flat_code(positions, pre_activations.flatten()[positions], pre_activations.shape)


def flat_code(
    positions: Int64[Tensor, " n"], values: Float[Tensor, " n"], shape: tuple[int, ...]
) -> RaggedCode:
    """Return the code of the entries that stand at `positions` of a flattened (B, M), ascending."""
    n_rows, width = shape
    ends = torch.arange(n_rows + 1, device=positions.device) * width
    latents = positions % max(width, 1)
    return RaggedCode(torch.searchsorted(positions, ends), latents, values, width)


def _refuse_nan(pre_activations: Float[Tensor, "B M"]) -> None:
    if bool(pre_activations.isnan().any()):
        raise ValueError(NAN_MESSAGE)
