"""A sparse autoencoder's forward and backward pass in one: encode, select, decode.

    z = select((x - c) W_enc^T + b_enc),   x_hat = z W_dec + b_dec

The same result as `sparse_decode(sparse_encode(...))`, to the rounding of the sums, with one
backward pass: the code is ordered by latent once, and on CUDA one kernel reads the rows of the
gradient and of the inputs once for all four gradients (`latent_gradients`). The centre c needs no
gradient of x, which would be another sum of rows for every entry: its own is -db_enc W_enc, one
product of a vector with a matrix. Use this one to train, the two others where the code is changed
between them.
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
    centre: Float[Tensor, " D"] | None = None,
) -> tuple[Float[Tensor, "B D"], RaggedCode]:
    """Return the reconstruction and the code; both carry gradients, once.

    `centre` is subtracted from every input before the encoder; None subtracts nothing.
    Arguments, ties and NaN are those of `sparse_encode` and `sparse_decode`. Gradients that reach
    the code's values otherwise (a penalty, say) are added to those of the reconstruction.

    >>> import torch
    >>> inputs, W = torch.tensor([[1.0, 2.0]]), torch.eye(2)
    >>> sparse_encode_decode(inputs, W, torch.zeros(2), W, None, k_per_sample=1)[0].tolist()
    [[0.0, 2.0]]

    Raises ValueError for what the two functions refuse.
    """
    check_decoder(len(W_enc), inputs.dtype, W_dec, b_dec)
    centred = inputs.detach() if centre is None else inputs.detach() - centre.detach()
    code = select(centred, W_enc, b_enc, k_per_sample, selection, matmul_dtype)
    tensors = (inputs, W_enc, b_enc, W_dec, b_dec, centre)
    reconstruction, values = _EncodeDecode.apply(*tensors, centred, code)  # type: ignore[no-untyped-call]
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
        centre: Float[Tensor, " D"] | None,
        centred: Float[Tensor, "B D"],
        code: RaggedCode,
    ) -> tuple[Float[Tensor, "B D"], Float[Tensor, " n"]]:
        values = code.values.detach().clone()
        ctx.save_for_backward(centred, W_enc, W_dec, values, code.row_starts, code.latents)
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
        centred, W_enc, W_dec, values, row_starts, latents = ctx.saved_tensors
        if output_gradient is None and value_gradient is None:
            return (None,) * 8
        code = RaggedCode(row_starts, latents, values, ctx.width)
        found = latent_gradients(
            code,
            value_gradient=value_gradient,
            output_gradient=output_gradient,
            W_dec=None if output_gradient is None else W_dec,
            inputs=centred,
        )
        needs_inputs, needs_b_dec, needs_centre = (ctx.needs_input_grad[i] for i in (0, 4, 5))
        dx = input_gradient(code, found.values, W_enc) if needs_inputs else None
        db_dec = output_gradient.sum(0) if needs_b_dec and output_gradient is not None else None
        assert found.b_enc is not None
        d_centre = -(found.b_enc @ W_enc) if needs_centre else None
        return dx, found.W_enc, found.b_enc, found.W_dec, db_dec, d_centre, None, None
