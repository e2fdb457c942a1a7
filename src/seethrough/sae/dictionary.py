"""The weights of a sparse autoencoder and its two linear maps.

    a = W_enc (y - b_dec) + b_enc,      y_hat = z W_dec + b_dec

y is a standardised input, a the pre-activations, z the sparse code that a rule makes of ReLU(a).
Rows of W_dec are the latents' directions, of norm 1 throughout (`unit_norm`); b_dec is subtracted
before the encoder, a pre-bias. W_enc is stored by latents, as the kernels want it.

The start is tied: rows of W_dec are random directions, W_enc equals W_dec, biases are 0, which is
the pool's mean in standardised units. A latent is then asked for by what it can write
{cite:p}`gao2024scaling`. Symbols: B inputs, D features, M latents.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_decode import sparse_decode
from seethrough.kernels.topk_reference import NAN_MESSAGE, flat_code


class Dictionary(nn.Module):
    """Encoder and decoder of `width` latents on inputs of `d_input` features."""

    def __init__(self, d_input: int, width: int, generator: torch.Generator) -> None:
        """Draw the directions from `generator`, on the CPU."""
        super().__init__()
        rows = torch.randn(width, d_input, generator=generator)
        rows /= rows.norm(dim=1, keepdim=True)
        self.W_enc = nn.Parameter(rows.clone())
        self.b_enc = nn.Parameter(torch.zeros(width))
        self.W_dec = nn.Parameter(rows)
        self.b_dec = nn.Parameter(torch.zeros(d_input))

    @property
    def width(self) -> int:
        """Return the number of latents."""
        return len(self.W_dec)

    def pre_activations(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return what the ReLU is applied to, for standardised inputs."""
        return torch.addmm(self.b_enc, inputs - self.b_dec, self.W_enc.T)

    def decode(self, code: Float[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Return the standardised reconstruction of a dense code."""
        return torch.addmm(self.b_dec, code, self.W_dec)

    def decode_ragged(self, code: RaggedCode) -> Float[Tensor, "B D"]:
        """Return the standardised reconstruction of a ragged code."""
        return sparse_decode(code, self.W_dec, self.b_dec)


def code_above(
    pre_activations: Float[Tensor, "B M"], threshold: Float[Tensor, "..."]
) -> RaggedCode:
    """Return the entries above their latent's threshold, or above one threshold for all.

    Equal to it is not above it. The values carry no gradients. Raises ValueError for NaN.

    >>> import torch
    >>> code_above(torch.tensor([[1.0, 2.0], [3.0, 0.5]]), torch.tensor(1.0)).dense().tolist()
    [[0.0, 2.0], [3.0, 0.0]]
    """
    numbers = pre_activations.detach()
    if bool(numbers.isnan().any()):
        raise ValueError(NAN_MESSAGE)
    positions = (numbers > threshold).flatten().nonzero()[:, 0]
    return flat_code(positions, numbers.flatten()[positions], numbers.shape)
