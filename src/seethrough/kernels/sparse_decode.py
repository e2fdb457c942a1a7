"""Decode a ragged code: its few active latents times their rows of the decoder.

    x_hat_b = sum_{m active in row b} z_bm W_dec[m] + b_dec

with z the code (B M), W_dec (M D), b_dec (D). Torch equivalent: `code.dense() @ W_dec + b_dec`,
2 B M D FLOPs; here 2 n D for n entries, and neither pass makes an array of B M. The kernels,
their bytes and their times stand in `weighted_row_sums` (forward) and `latent_gradients`
(backward). Entries are added in the order of their latents: the same inputs give the same bytes,
forward and backward. There are no ties to break; NaN passes on to the rows that use it. This is the
decoder of a sparse autoencoder ({cite:t}`gao2024scaling`), for rows of any number of entries.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from seethrough.kernels.latent_gradients import latent_gradients
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.weighted_row_sums import weighted_row_sums


def sparse_decode(
    code: RaggedCode, W_dec: Float[Tensor, "M D"], b_dec: Float[Tensor, " D"] | None = None
) -> Float[Tensor, "B D"]:
    """Return the reconstruction; gradients reach `code.values`, `W_dec` and `b_dec`, once.

    A row without entries gives b_dec, or zeros.

    >>> import torch
    >>> code = RaggedCode(torch.tensor([0, 2, 2]), torch.tensor([0, 2]), torch.tensor([1.0, 3]), 3)
    >>> sparse_decode(code, torch.tensor([[1.0, 1], [9, 9], [0, 1]])).tolist()
    [[1.0, 4.0], [0.0, 0.0]]

    Raises ValueError for a decoder whose rows are not the code's latents, a bias of another length,
    or types that differ.
    """
    check_decoder(code.width, code.values.dtype, W_dec, b_dec)
    reconstruction: Tensor = _Decode.apply(code.values, W_dec, b_dec, code)  # type: ignore[no-untyped-call]
    return reconstruction


def sparse_decode_reference(
    code: RaggedCode, W_dec: Float[Tensor, "M D"], b_dec: Float[Tensor, " D"] | None = None
) -> Float[Tensor, "B D"]:
    """Return the same by its definition, with the zeros of the code written out."""
    reconstruction = code.dense() @ W_dec
    return reconstruction if b_dec is None else reconstruction + b_dec


def check_decoder(
    n_latents: int,
    dtype: torch.dtype,
    W_dec: Float[Tensor, "M D"],
    b_dec: Float[Tensor, " D"] | None,
) -> None:
    """Raise ValueError unless the decoder fits a code of `n_latents` latents of that type."""
    if len(W_dec) != n_latents:
        raise ValueError(
            f"W_dec has {len(W_dec)} rows, allowed is one for each of the code's "
            f"{n_latents} latents"
        )
    if b_dec is not None and b_dec.shape != W_dec.shape[1:]:
        raise ValueError(
            f"b_dec has shape {tuple(b_dec.shape)}, allowed is "
            f"{tuple(W_dec.shape[1:])}, one for each column of W_dec"
        )
    for name, tensor in (("W_dec", W_dec), ("b_dec", b_dec)):
        if tensor is not None and tensor.dtype != dtype:
            raise ValueError(
                f"{name} is {tensor.dtype}, allowed is the type of the code's values, {dtype}"
            )


def decode(
    code: RaggedCode, W_dec: Float[Tensor, "M D"], b_dec: Float[Tensor, " D"] | None
) -> Float[Tensor, "B D"]:
    """Return the reconstruction, without gradients and without checks."""
    sums = weighted_row_sums(code.row_starts, code.latents, code.values, W_dec)
    return sums if b_dec is None else sums.add_(b_dec)


class _Decode(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Float[Tensor, " n"],
        W_dec: Float[Tensor, "M D"],
        b_dec: Float[Tensor, " D"] | None,
        code: RaggedCode,
    ) -> Float[Tensor, "B D"]:
        ctx.save_for_backward(values, W_dec, code.row_starts, code.latents)
        ctx.width = code.width
        return decode(code, W_dec, b_dec)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, gradient: Float[Tensor, "B D"]
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        values, W_dec, row_starts, latents = ctx.saved_tensors
        needs_values, needs_W_dec, needs_b_dec, _ = ctx.needs_input_grad
        b_dec = gradient.sum(0) if needs_b_dec else None
        if not (needs_values or needs_W_dec):
            return None, None, b_dec, None
        code = RaggedCode(row_starts, latents, values, ctx.width)
        found = latent_gradients(code, output_gradient=gradient, W_dec=W_dec)
        return found.values, found.W_dec, b_dec, None
