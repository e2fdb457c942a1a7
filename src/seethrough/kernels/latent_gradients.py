"""Gradients of a sparse decoder, its code and its encoder, from the active entries alone.

With z the code (B M), x_hat = z W_dec + b_dec, z = x W_enc^T + b_enc at the active entries, g the
gradient of x_hat, and h the gradient that reaches the values of z by other ways:

    dz_bm = h_bm + g_b . W_dec[m]      at the active entries (b, m), nowhere else
    dW_dec[m] = sum_b z_bm g_b,   dW_enc[m] = sum_b dz_bm x_b,   db_enc[m] = sum_b dz_bm

The sums run over the rows b in which latent m is active; latents that are never active get zeros.
Torch equivalent: three dense products and a mask, 6 B M D FLOPs; here 6 n D for n entries. Bytes
in float32: 8 n D read (a row of g and a row of x per entry) where one pass serves all, 8 M D
written. The same inputs give the same bytes; NaN passes on.

Rows of W_enc are latents, [M D], like those of W_dec: with [D M] its gradient and that of x would
need transposed copies (dW_enc 33 against 14 ms, dx 28 against 13 ms, the forward product alike).

On one thread of an EPYC (process time, the machine shared) at B 4096, D 768, M 6144, n 131,072
in float32: order by latent 1 ms, each weight gradient 13 ms (dense 401 ms), the dot products by
`sampled_addmm` 14 ms, by embedding_bag's own backward 25 ms, gathered in blocks 83 ms. With other
data between the calls the dot products take 21 ms by latent and 38 ms row by row: the table that
is read at random then has 12.6 MB, not 18.9 MB.
"""

import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.transposed_code import TransposedCode, transpose_code
from seethrough.kernels.triton_path import takes_triton
from seethrough.kernels.weighted_row_sums import weighted_row_sums

# Entries gathered at once: on a CPU two blocks of rows that stay in cache (64 entries at a time
# take 111 ms, 256 take 83, 4096 take 757); on a device few launches.
BLOCK_ENTRIES_CPU = 256
BLOCK_ENTRIES_DEVICE = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentGradients:
    """Gradients of a loss by everything that belongs to a latent; None for an absent layer."""

    values: Float[Tensor, " n"]
    """dz at the active entries, in the code's order."""
    W_dec: Float[Tensor, "M D"] | None
    """By the decoder's weights."""
    W_enc: Float[Tensor, "M D"] | None
    """By the encoder's weights."""
    b_enc: Float[Tensor, " M"] | None
    """By the encoder's bias."""


def latent_gradients(
    code: RaggedCode,
    *,
    value_gradient: Float[Tensor, " n"] | None = None,
    output_gradient: Float[Tensor, "B D"] | None = None,
    W_dec: Float[Tensor, "M D"] | None = None,
    inputs: Float[Tensor, "B D"] | None = None,
) -> LatentGradients:
    """Return the gradients by the code's values, W_dec, W_enc and b_enc.

    Without `output_gradient` (g) and `W_dec` there is no decoder, without `inputs` (x) no encoder;
    without `value_gradient` h is 0.

    Raises ValueError if g lacks its W_dec or the other way round, or if neither g nor h is given.
    """
    if (output_gradient is None) != (W_dec is None):
        raise ValueError("output_gradient and W_dec must be given together, got one of them")
    if value_gradient is None and output_gradient is None:
        raise ValueError("value_gradient or output_gradient must be given, got neither")
    tensors = (value_gradient, output_gradient, W_dec, inputs)
    h, g, weights, x = (None if t is None else t.detach().contiguous() for t in tensors)
    if takes_triton(code.latents.device):
        from seethrough.kernels.latent_gradients_triton import launch

        return launch(code, h, g, weights, x)
    return _by_torch(code, h, g, weights, x)


def sampled_products(
    code: RaggedCode, left: Float[Tensor, "B D"], right: Float[Tensor, "M D"]
) -> Float[Tensor, " n"]:
    """Return left[row] . right[latent] for every entry of the code, without gradients."""
    by_latent = transpose_code(code)
    return _in_code_order(by_latent, _products(by_latent, left.detach(), right.detach()))


def _by_torch(
    code: RaggedCode,
    h: Float[Tensor, " n"] | None,
    g: Float[Tensor, "B D"] | None,
    weights: Float[Tensor, "M D"] | None,
    x: Float[Tensor, "B D"] | None,
) -> LatentGradients:
    by_latent = transpose_code(code)
    dW_dec = dW_enc = db_enc = None
    dz = None if h is None else h.index_select(0, by_latent.positions)  # by latent throughout
    if g is not None and weights is not None:
        dW_dec = _latent_sums(by_latent, code.values.index_select(0, by_latent.positions), g)
        products = _products(by_latent, g, weights)
        dz = products if dz is None else products.add_(dz)
    assert dz is not None
    if x is not None:
        dW_enc = _latent_sums(by_latent, dz, x)
        db_enc = _segment_sums(by_latent.latent_starts, dz)
    values = _in_code_order(by_latent, dz)
    return LatentGradients(values=values, W_dec=dW_dec, W_enc=dW_enc, b_enc=db_enc)


def _in_code_order(by_latent: TransposedCode, numbers: Float[Tensor, " n"]) -> Float[Tensor, " n"]:
    return torch.empty_like(numbers).index_copy_(0, by_latent.positions, numbers)


def _latent_sums(
    by_latent: TransposedCode, weights: Float[Tensor, " n"], table: Float[Tensor, "B D"]
) -> Float[Tensor, "M D"]:
    return weighted_row_sums(by_latent.latent_starts, by_latent.rows, weights, table)


def _segment_sums(
    starts: Int64[Tensor, " segments_and_end"], values: Float[Tensor, " n"]
) -> Float[Tensor, " S"]:
    if len(values) == 0:
        return values.new_zeros(len(starts) - 1)
    # in float32 at least: a running sum in bfloat16 stops growing after some hundred terms
    wide = values.to(torch.promote_types(values.dtype, torch.float32))
    return torch.segment_reduce(wide, "sum", offsets=starts).to(values.dtype)


def _products(
    by_latent: TransposedCode, left: Float[Tensor, "B D"], right: Float[Tensor, "M D"]
) -> Float[Tensor, " n"]:
    """Return left[row] . right[latent], by latent: a row of `right` stays in cache meanwhile."""
    if len(by_latent.rows) == 0:
        return left.new_zeros(0)
    if left.is_cpu and left.dtype in (torch.float32, torch.float64):
        zeros = _zeros_at(by_latent, len(left), left.dtype)
        products: Tensor = torch.sparse.sampled_addmm(zeros, right, left.T).values()
        return products
    return _gathered_products(by_latent, left, right)


def _zeros_at(by_latent: TransposedCode, n_rows: int, dtype: torch.dtype) -> Tensor:
    """Return a CSR matrix [M B] of zeros at the code's entries, for `sampled_addmm` to add to."""
    zeros = torch.zeros(len(by_latent.rows), dtype=dtype)
    shape = (len(by_latent.latent_starts) - 1, n_rows)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        return torch.sparse_csr_tensor(
            by_latent.latent_starts, by_latent.rows, zeros, shape, check_invariants=False
        )


def _gathered_products(
    by_latent: TransposedCode, left: Float[Tensor, "B D"], right: Float[Tensor, "M D"]
) -> Float[Tensor, " n"]:
    block = BLOCK_ENTRIES_CPU if left.is_cpu else BLOCK_ENTRIES_DEVICE
    wide = torch.promote_types(left.dtype, torch.float32)
    # A loop over blocks bounds the memory: all entries at once would be n rows of D.
    counts = by_latent.latent_starts.diff()
    latents = torch.repeat_interleave(counts, output_size=len(by_latent.rows))
    pairs = torch.split(torch.stack([by_latent.rows, latents]), block, dim=1)
    products = [(left[rows] * right[latents]).sum(1, dtype=wide) for rows, latents in pairs]
    return torch.cat(products).to(left.dtype)
