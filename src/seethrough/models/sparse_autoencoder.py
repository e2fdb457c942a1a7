"""A Top-k sparse autoencoder (SAE) with an overcomplete dictionary.

Symbols: x input (B D), r ReLU code (B M) = relu(W_enc (x - b_pre) + b_enc), z sparse code (B M) =
r with all but its k largest entries set to 0, x_hat = z W_dec + b_pre.

The start is tied: rows of W_enc have unit norm, W_dec has the same directions, and b_pre is 0, as
in {cite:t}`gao2024scaling` without its median start. Rows of W_dec have norm min(1, 2 D / M): about
half of M random units fire, each along a random direction of D, so this is the norm at which the
untrained dense code reconstructs its input on the right scale. (With unit norm a code of 500 units
on 10 latents starts 25 times too large and does not recover.) No norm is enforced afterwards and no
auxiliary loss revives units: this is the plain design whose collapse is under test. All of it is
our assumption; the abstract gives none.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn


def top_k(relu_code: Float[Tensor, "B M"], k: int) -> Float[Tensor, "B M"]:
    """Return the code with all but the k largest entries of each row set to 0.

    k is per sample; k >= M returns the code as it is. Of equal entries torch.topk picks which stay.
    A kept entry may itself be 0 and then counts as silent everywhere in this project. Gradients
    reach kept entries only.
    """
    if k < 1:
        raise ValueError(f"k is {k}, allowed is a count of at least 1")
    if k >= relu_code.shape[1]:
        return relu_code
    values, positions = relu_code.topk(k, dim=1, sorted=False)  # both [B K]
    return torch.zeros_like(relu_code).scatter(1, positions, values)


class SparseAutoencoder(nn.Module):
    """Sparse autoencoder with `width` units on inputs of `d_input`; see the module's docstring."""

    def __init__(self, d_input: int, width: int, generator: torch.Generator) -> None:
        """Draw directions from `generator` (on the CPU) for encoder and decoder alike."""
        super().__init__()
        rows = torch.randn(width, d_input, generator=generator)
        rows /= rows.norm(dim=1, keepdim=True)
        self.W_enc = nn.Parameter(rows)
        self.b_enc = nn.Parameter(torch.zeros(width))
        self.W_dec = nn.Parameter(min(1.0, 2 * d_input / width) * rows)
        self.b_pre = nn.Parameter(torch.zeros(d_input))

    def relu_code(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return the code before the sparsifier, non-negative."""
        # (x - b_pre) W + b = x W + (b - W b_pre): one matrix product with its bias
        return torch.addmm(self.b_enc - self.W_enc @ self.b_pre, inputs, self.W_enc.T).relu()

    def decode(self, code: Float[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Return the input's reconstruction."""
        return torch.addmm(self.b_pre, code, self.W_dec)


def unexplained_variance(
    reconstruction: Float[Tensor, "B D"], inputs: Float[Tensor, "B D"]
) -> Float[Tensor, ""]:
    """Return the fraction of variance unexplained (FVU) over the batch, 0 at best.

    Squared error over total variance about the batch mean; the denominator carries no gradient. A
    batch of constant inputs gives a finite number by a floor of 1e-12 on the variance.
    """
    with torch.no_grad():
        variance = (inputs - inputs.mean(0)).square().sum().clamp_min(1e-12)
    return (reconstruction - inputs).square().sum() / variance
