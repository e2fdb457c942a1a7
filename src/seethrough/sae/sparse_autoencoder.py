"""A sparse autoencoder as it is used: raw activations in, codes and reconstructions out.

Standardisation, dictionary and rule in one module:

    y = (x - mean) / scale,   a = W_enc (y - b_dec) + b_enc,   z = rule(ReLU(a)),
    x_hat = scale (z W_dec + b_dec) + mean

Codes are those of inference. Latent u writes scale z_u W_dec[u] into the activation. Symbols:
B inputs, D features, M latents.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.weighted_row_sums import weighted_row_sums
from seethrough.sae.batch_topk import BatchTopK, BatchTopKRule
from seethrough.sae.dictionary import Dictionary
from seethrough.sae.jump_relu import JumpReLU, JumpReLURule
from seethrough.sae.l1 import L1, L1Rule
from seethrough.sae.standardisation import Standardisation
from seethrough.sae.topk import TopK, TopKRule
from seethrough.training.checkpoint import contiguous

Method = BatchTopK | TopK | L1 | JumpReLU
"""How codes become sparse."""
Rule = BatchTopKRule | TopKRule | L1Rule | JumpReLURule
"""A method made for one dictionary, with its state."""


class SparseAutoencoder(nn.Module):
    """Sparse autoencoder of `width` latents on activations of `d_input` features."""

    def __init__(
        self, d_input: int, width: int, method: Method, generator: torch.Generator
    ) -> None:
        """Draw the tied start from `generator`, on the CPU; a width below k raises ValueError."""
        super().__init__()
        if width < 1:
            raise ValueError(f"width is {width}, allowed is at least 1 latent")
        self.rule: Rule = method.rule(width)
        self.standardisation = Standardisation(d_input)
        self.dictionary = Dictionary(d_input, width, generator)

    @property
    def width(self) -> int:
        """Return the number of latents."""
        return self.dictionary.width

    @torch.no_grad()
    def encode(self, activations: Float[Tensor, "B D"]) -> RaggedCode:
        """Return the active latents of each input, positive and without gradients.

        Activations are cast to the dictionary's precision. Raises ValueError for NaN.
        """
        inputs = self.standardisation(activations.to(self.dictionary.W_dec.dtype))
        return self.rule.encode(self.dictionary, inputs)

    def encode_dense(self, activations: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return the same code with its zeros written out."""
        return self.encode(activations).dense()

    @torch.no_grad()
    def decode(self, code: RaggedCode) -> Float[Tensor, "B D"]:
        """Return the reconstruction of a code, in the activations' units."""
        return self.standardisation.undo(self.dictionary.decode_ragged(code))

    @torch.no_grad()
    def contribution(self, code: RaggedCode) -> Float[Tensor, "B D"]:
        """Return what the latents of a code write, in the activations' units, without biases."""
        W_dec = self.dictionary.W_dec
        sums = weighted_row_sums(code.row_starts, code.latents, code.values, W_dec)
        return self.standardisation.scale * sums

    def forward(self, activations: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
        """Return the reconstruction of activations, without gradients."""
        return self.decode(self.encode(activations))


def save_autoencoder(sae: SparseAutoencoder, path: Path) -> None:
    """Write weights, standardisation and thresholds to a safetensors file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(contiguous(sae.state_dict()), path)


def load_autoencoder(method: Method, path: Path) -> SparseAutoencoder:
    """Return the autoencoder that `path` holds, on the CPU, made by this method.

    Raises:
        ValueError: the file was written for another kind of method.
    """
    state = load_file(path)
    width, d_input = state["dictionary.W_dec"].shape
    sae = SparseAutoencoder(d_input, width, method, torch.Generator())
    if state.keys() != sae.state_dict().keys():
        raise ValueError(
            f"{path} holds {', '.join(sorted(state))}, allowed for {type(method).__name__} are "
            f"{', '.join(sorted(sae.state_dict()))}"
        )
    sae.load_state_dict(state)
    return sae.eval()
