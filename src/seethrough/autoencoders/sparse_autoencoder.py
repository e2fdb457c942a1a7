"""A sparse autoencoder (SAE) with an overcomplete dictionary.

Symbols: x input (B D), r ReLU code (B M) = relu(W_enc (x - b_pre) + b_enc), z sparse code (B M) =
r after the sparsifier, x_hat = z W_dec + b_pre.

The start is tied: rows of W_enc have unit norm, W_dec has the same directions, and b_pre is 0, as
in {cite:t}`gao2024scaling` without its median start. Rows of W_dec have norm min(1, 2 D / M): about
half of M random units fire, each along a random direction of D, so this is the norm at which the
untrained dense code reconstructs its input on the right scale. (With unit norm a code of 500 units
on 10 latents starts 25 times too large and does not recover.) No norm is enforced afterwards and no
auxiliary loss revives units: this is the plain design whose collapse is under test. All of it is
our assumption; the abstract gives none.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class SparseOutput:
    """What one sparse layer computes from a batch."""

    inputs: Tensor
    """What is to be reconstructed, detached, [B D]."""
    relu_code: Tensor
    """Code before the sparsifier, [B M], non-negative."""
    code: Tensor
    """Code after the sparsifier, [B M], non-negative."""
    reconstruction: Tensor
    """Reconstruction of the inputs, [B D]."""

    def unexplained(self) -> Tensor:
        """Return the batch's fraction of variance unexplained, 0-dim."""
        return unexplained_variance(self.reconstruction, self.inputs)


class SparseAutoencoder(nn.Module):
    """Sparse autoencoder with `width` units on inputs of `d_input`; see the module's docstring."""

    def __init__(
        self, d_input: int, width: int, sparsifier: nn.Module, generator: torch.Generator
    ) -> None:
        """Draw directions from `generator` (on the CPU) for encoder and decoder alike."""
        super().__init__()
        rows = torch.randn(width, d_input, generator=generator)
        rows /= rows.norm(dim=1, keepdim=True)
        self.W_enc = nn.Parameter(rows)
        self.b_enc = nn.Parameter(torch.zeros(width))
        self.W_dec = nn.Parameter(min(1.0, 2 * d_input / width) * rows)
        self.b_pre = nn.Parameter(torch.zeros(d_input))
        self.sparsifier = sparsifier

    def relu_code(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return the code before the sparsifier, non-negative."""
        # (x - b_pre) W + b = x W + (b - W b_pre): one matrix product with its bias
        return torch.addmm(self.b_enc - self.W_enc @ self.b_pre, inputs, self.W_enc.T).relu()

    def decode(self, code: Float[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Return the input's reconstruction."""
        return torch.addmm(self.b_pre, code, self.W_dec)

    def forward(self, inputs: Float[Tensor, "B D"], level: float) -> SparseOutput:
        """Return codes and reconstruction at the sparsifier's level (k, or lambda)."""
        relu_code = self.relu_code(inputs)
        code = self.sparsifier(relu_code, level)
        return SparseOutput(inputs.detach(), relu_code, code, self.decode(code))


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
