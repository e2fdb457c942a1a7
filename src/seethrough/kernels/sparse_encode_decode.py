"""A sparse autoencoder's forward and backward pass in one: encode, select, decode.

    z = select(x W_enc^T + b_enc),   x_hat = z W_dec + b_dec

The same result as `sparse_decode(sparse_encode(...))`, to the rounding of the sums, with one
backward pass: the code is ordered by latent once, and on CUDA one kernel reads the rows of the
gradient and of the inputs once for all four gradients (`latent_gradients`). Use this one to train,
the two others where the code is changed between them.
"""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from seethrough.kernels.latent_gradients import latent_gradients
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_decode import check_decoder, decode
from seethrough.kernels.sparse_encode import Selection, input_gradient, select


def sparse_encode_decode(
    inputs: Float[Tensor, "B D"],
    W_enc: Float[Tensor, "M D"],
    b_enc: Float[Tensor, " M"],
    W_dec: Float[Tensor, "M D"],
    b_dec: Float[Tensor, " D"] | None,
    k_per_sample: int,
    selection: Selection = "batch",
    matmul_dtype: torch.dtype | None = None,
) -> tuple[Float[Tensor, "B D"], RaggedCode]:
    """Return the reconstruction and the code; both carry gradients, once.

    Arguments, ties and NaN are those of `sparse_encode` and `sparse_decode`. Gradients that reach
    the code's values otherwise (a penalty, say) are added to those of the reconstruction.

    >>> import torch
    >>> inputs, W = torch.tensor([[1.0, 2.0]]), torch.eye(2)
    >>> sparse_encode_decode(inputs, W, torch.zeros(2), W, None, k_per_sample=1)[0].tolist()
    [[0.0, 2.0]]

    Raises ValueError for what the two functions refuse.
    """
    check_decoder(len(W_enc), inputs.dtype, W_dec, b_dec)
    code = select(inputs, W_enc, b_enc, k_per_sample, selection, matmul_dtype)
    tensors = (inputs, W_enc, b_enc, W_dec, b_dec)
    reconstruction, values = _EncodeDecode.apply(*tensors, code)  # type: ignore[no-untyped-call]
    return reconstruction, replace(code, values=values)


class _EncodeDecode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        inputs: Float[Tensor, "B D"],
        W_enc: Float[Tensor, "M D"],
        b_enc: Float[Tensor, " M"],
        W_dec: Float[Tensor, "M D"],
        b_dec: Float[Tensor, " D"] | None,
        code: RaggedCode,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, " n"]]:
        values = code.values.detach().clone()
        ctx.save_for_backward(inputs, W_enc, W_dec, values, code.row_starts, code.latents)
        ctx.width = code.width
        ctx.set_materialize_grads(False)
        return decode(code, W_dec, b_dec), values

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        output_gradient: Float[Tensor, "B D"] | None,
        value_gradient: Float[Tensor, " n"] | None,
    ) -> tuple[Tensor | None, ...]:
        inputs, W_enc, W_dec, values, row_starts, latents = ctx.saved_tensors
        if output_gradient is None and value_gradient is None:
            return (None,) * 6
        code = RaggedCode(row_starts, latents, values, ctx.width)
        found = latent_gradients(
            code,
            value_gradient=value_gradient,
            output_gradient=output_gradient,
            W_dec=None if output_gradient is None else W_dec,
            inputs=inputs,
        )
        needs_inputs, needs_b_dec = ctx.needs_input_grad[0], ctx.needs_input_grad[4]
        dx = input_gradient(code, found.values, W_enc) if needs_inputs else None
        db_dec = output_gradient.sum(0) if needs_b_dec and output_gradient is not None else None
        return dx, found.W_enc, found.b_enc, found.W_dec, db_dec, None
