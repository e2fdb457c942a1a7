"""Encode to a ragged code: one dense product, a selection, and gradients of the selected alone.

    z = x W_enc^T + b_enc (B M), then the largest positive z of the batch, or of each row

with x (B D), W_enc (M D), b_enc (M). Torch equivalent: relu, topk, scatter, with the dense
product's own backward of 4 B M D FLOPs; here 4 n D for n entries: no gradient of B M exists. The
selected are positive, so the ReLU passes their gradients unchanged. Forward: 2 B M D FLOPs, B M
pre-activations written and read by the selection; ties and NaN are its matter
(`batch_topk`, `row_topk`). Backward: see `latent_gradients`; W_enc is stored by latents, for
the reason given there. The same inputs give the same bytes. The batch-wide choice is that of
{cite:t}`bussmann2024batchtopk`, the row-wise one that of {cite:t}`gao2024scaling`.
"""

from dataclasses import replace
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from seethrough.kernels.affine_product import affine_product
from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.latent_gradients import latent_gradients
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.row_topk import row_topk
from seethrough.kernels.weighted_row_sums import weighted_row_sums

Selection = Literal["batch", "row"]


def sparse_encode(
    inputs: Float[Tensor, "B D"],
    W_enc: Float[Tensor, "M D"],
    b_enc: Float[Tensor, " M"],
    k_per_sample: int,
    selection: Selection = "batch",
    matmul_dtype: torch.dtype | None = None,
) -> RaggedCode:
    """Return the code, whose values carry gradients to `inputs`, `W_enc` and `b_enc`, once.

    "batch" keeps the k B largest of the whole batch, "row" the k largest of each row, positive ones
    alone. `matmul_dtype` is the type of the dense product and so the precision of the values, which
    come in the type of the inputs; gradients are computed in the latter.

    >>> import torch
    >>> inputs, W_enc = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0], [0, 1], [-1, -1]])
    >>> sparse_encode(inputs, W_enc, torch.zeros(3), k_per_sample=1).dense().tolist()
    [[0.0, 2.0, 0.0]]

    Raises ValueError for shapes or types that do not fit, an unknown selection, or what the
    selection refuses (NaN, k below 1).
    """
    code = select(inputs, W_enc, b_enc, k_per_sample, selection, matmul_dtype)
    return with_encoder_gradients(code, inputs, W_enc, b_enc)


@torch.no_grad()
def select(
    inputs: Float[Tensor, "B D"],
    W_enc: Float[Tensor, "M D"],
    b_enc: Float[Tensor, " M"],
    k_per_sample: int,
    selection: Selection = "batch",
    matmul_dtype: torch.dtype | None = None,
) -> RaggedCode:
    """Return the code of `sparse_encode` without gradients."""
    check_encoder(inputs, W_enc, b_enc)
    dtype = matmul_dtype or inputs.dtype
    pre_activations = affine_product(*(t.to(dtype) for t in (inputs, W_enc, b_enc)))
    match selection:
        case "batch":
            code = batch_topk(pre_activations, k_per_sample)
        case "row":
            code = row_topk(pre_activations, k_per_sample)
        case _:
            raise ValueError(f"selection is {selection!r}, allowed are 'batch' and 'row'")
    return replace(code, values=code.values.to(inputs.dtype))


def with_encoder_gradients(
    code: RaggedCode,
    inputs: Float[Tensor, "B D"],
    W_enc: Float[Tensor, "M D"],
    b_enc: Float[Tensor, " M"],
) -> RaggedCode:
    """Return the code with gradients from its values to the encoder that gave them.

    For codes selected in another way than `sparse_encode` does; the values are taken as they are.
    """
    check_encoder(inputs, W_enc, b_enc)
    values = _Encode.apply(inputs, W_enc, b_enc, code)  # type: ignore[no-untyped-call]
    return replace(code, values=values)


def check_encoder(
    inputs: Float[Tensor, "B D"], W_enc: Float[Tensor, "M D"], b_enc: Float[Tensor, " M"]
) -> None:
    """Raise ValueError unless shapes and types fit each other."""
    if inputs.shape[1] != W_enc.shape[1]:
        raise ValueError(
            f"W_enc has {W_enc.shape[1]} columns, allowed is one for each of the inputs' "
            f"{inputs.shape[1]} features"
        )
    if len(b_enc) != len(W_enc):
        raise ValueError(
            f"b_enc has {len(b_enc)} entries, allowed is one for each of W_enc's {len(W_enc)} rows"
        )
    for name, tensor in (("W_enc", W_enc), ("b_enc", b_enc)):
        if tensor.dtype != inputs.dtype:
            raise ValueError(f"{name} is {tensor.dtype}, allowed is the inputs' {inputs.dtype}")


def input_gradient(
    code: RaggedCode, values: Float[Tensor, " n"], W_enc: Float[Tensor, "M D"]
) -> Float[Tensor, "B D"]:
    """Return dx = dz W_enc from the gradient of the code's values."""
    return weighted_row_sums(code.row_starts, code.latents, values, W_enc)


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Float[Tensor, "B D"],
        W_enc: Float[Tensor, "M D"],
        b_enc: Float[Tensor, " M"],
        code: RaggedCode,
    ) -> Float[Tensor, " n"]:
        ctx.save_for_backward(inputs, W_enc, code.row_starts, code.latents)
        ctx.width = code.width
        return code.values.detach().clone()

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, " n"]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        inputs, W_enc, row_starts, latents = ctx.saved_tensors
        code = RaggedCode(row_starts, latents, gradient, ctx.width)
        dx = input_gradient(code, gradient, W_enc) if ctx.needs_input_grad[0] else None
        if not any(ctx.needs_input_grad[1:3]):
            return dx, None, None, None
        found = latent_gradients(code, value_gradient=gradient, inputs=inputs)
        return dx, found.W_enc, found.b_enc, None
