"""A sparse autoencoder whose inputs pass through a fixed map and whose encoder may be bound.

    p = map(x),    r = relu(W (p - b_pre) + b_enc),    z = sparsifier(r),
    x_hat = back(z W_dec + b_pre)

W is W_enc, or what the encoder's rule makes of W_enc and W_dec. With the identity as map and W_enc
as W this is `SparseAutoencoder` to the last bit. Errors are measured on x, in its own units,
whatever the map. Symbols: B inputs, D input dimensions, M units, U some of the units.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.autoencoders.aligned import AlignedEncoder, FreeEncoder
from seethrough.autoencoders.no_centring import IdentityMap
from seethrough.autoencoders.silence import SilenceCounter
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder


class PreparedAutoencoder(SparseAutoencoder):
    """Sparse autoencoder behind an input map; see the module's docstring."""

    def __init__(
        self,
        d_input: int,
        width: int,
        sparsifier: nn.Module,
        generator: torch.Generator,
        input_map: IdentityMap,
        encoder: FreeEncoder | AlignedEncoder,
        silence: SilenceCounter | None,
    ) -> None:
        """Draw the tied start from `generator` (on the CPU)."""
        super().__init__(d_input, width, sparsifier, generator)
        self.input_map = input_map
        self.encoder = encoder
        self.silence = silence

    def pre_activations(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return what the ReLU is applied to."""
        W = self.encoder.rows(self.W_enc, self.W_dec)
        return torch.addmm(self.b_enc - W @ self.b_pre, self.input_map(inputs), W.T)

    def pre_activations_of(
        self, inputs: Float[Tensor, "B D"], units: Int64[Tensor, " U"]
    ) -> Float[Tensor, "B U"]:
        """Return the same for some units only."""
        W = self.encoder.rows(self.W_enc[units], self.W_dec[units])
        return torch.addmm(self.b_enc[units] - W @ self.b_pre, self.input_map(inputs), W.T)

    def relu_code(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return the code before the sparsifier, non-negative."""
        return self.pre_activations(inputs).relu()

    def decode(self, code: Float[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Return the input's reconstruction, in the input's units."""
        return self.input_map.back(super().decode(code))

    def contribution(
        self, code: Float[Tensor, "B U"], units: Int64[Tensor, " U"]
    ) -> Float[Tensor, "B D"]:
        """Return what some units add to the reconstruction, in the input's units."""
        return self.input_map.back_direction(code @ self.W_dec[units])
