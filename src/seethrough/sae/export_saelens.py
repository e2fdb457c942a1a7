"""The format that SAELens loads: cfg.json and sae_weights.safetensors in one folder.

Its formulas take raw activations, with W_enc stored (D M):

    a = (x - b_dec) W_enc + b_enc,      x_hat = z W_dec + b_dec
    z = ReLU(a)                         architecture "standard"
    z = ReLU(a) 1[a > threshold]        "jumprelu", one threshold per latent
    z = k largest of ReLU(a)            "topk"

A BatchTopK autoencoder is a "jumprelu" there, all thresholds alike, as SAELens saves its own. The
standardisation goes into the weights, so that codes and reconstructions stay what they were: W_enc
is divided by the scale, W_dec multiplied, and b_dec becomes scale b_dec + mean. Decoder rows then
have the scale as their norm. Format read from SAELens 6.54.12. Symbols: B inputs, D features,
M latents.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file, save_file
from torch import Tensor

from seethrough.checked_json import of_type, parse_json, pretty_json, write_atomically
from seethrough.sae.batch_topk import BatchTopKRule
from seethrough.sae.jump_relu import JumpReLURule
from seethrough.sae.sparse_autoencoder import SparseAutoencoder
from seethrough.sae.topk import TopKRule
from seethrough.training.checkpoint import contiguous

CONFIG_FILE, WEIGHTS_FILE = "cfg.json", "sae_weights.safetensors"
FORMAT_VERSION = "6.54.12"
ARCHITECTURES = ("standard", "jumprelu", "topk")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SAELensWeights:
    """What a folder of the format holds, and its formulas."""

    W_enc: Float[Tensor, "D M"]
    """Encoder, by features."""
    b_enc: Float[Tensor, " M"]
    """Added to pre-activations."""
    W_dec: Float[Tensor, "M D"]
    """Decoder, by latents."""
    b_dec: Float[Tensor, " D"]
    """Subtracted from the input, added to the output."""
    threshold: Float[Tensor, " M"] | None
    """Of "jumprelu", else None."""
    k: int | None
    """Of "topk", else None."""

    @property
    def architecture(self) -> str:
        """Return the name of the formula for codes."""
        if self.threshold is not None:
            return "jumprelu"
        return "standard" if self.k is None else "topk"

    def encode(self, activations: Float[Tensor, "B D"]) -> Float[Tensor, "B M"]:
        """Return the codes of raw activations."""
        pre_activations = (activations - self.b_dec) @ self.W_enc + self.b_enc
        code = pre_activations.relu()
        if self.threshold is not None:
            return torch.where(pre_activations > self.threshold, code, 0.0)
        if self.k is not None:
            values, latents = code.topk(self.k, dim=1)
            return torch.zeros_like(code).scatter(1, latents, values)
        return code

    def decode(self, code: Float[Tensor, "B M"]) -> Float[Tensor, "B D"]:
        """Return reconstructions of raw activations."""
        return code @ self.W_dec + self.b_dec


@torch.no_grad()
def saelens_weights(sae: SparseAutoencoder) -> SAELensWeights:
    """Return the autoencoder's weights for raw activations, on the CPU."""
    mean, scale = (part.cpu().double() for part in sae.standardisation.buffers())
    dictionary, rule = sae.dictionary, sae.rule
    width = torch.ones(dictionary.width, dtype=dictionary.b_enc.dtype)
    threshold = None
    if isinstance(rule, BatchTopKRule | JumpReLURule):
        threshold = rule.threshold.cpu() * width  # one for all becomes one for each
    return SAELensWeights(
        W_enc=(dictionary.W_enc.T.cpu() / scale).to(width),
        b_enc=dictionary.b_enc.detach().cpu(),
        W_dec=(dictionary.W_dec.cpu() * scale).to(width),
        b_dec=(dictionary.b_dec.cpu() * scale + mean).to(width),
        threshold=threshold,
        k=rule.config.k if isinstance(rule, TopKRule) else None,
    )


def export_saelens(sae: SparseAutoencoder, folder: Path, model_name: str, hook_name: str) -> None:
    """Write the autoencoder into `folder`; the names say what it was trained on."""
    weights = saelens_weights(sae)
    d_input, width = weights.W_enc.shape
    config = {
        "d_in": d_input,
        "d_sae": width,
        "dtype": str(weights.W_enc.dtype).removeprefix("torch."),
        "device": "cpu",
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {
            "sae_lens_version": FORMAT_VERSION,
            "model_name": model_name,
            "hook_name": hook_name,
        },
        "architecture": weights.architecture,
    }
    if weights.k is not None:
        config |= {"k": weights.k, "rescale_acts_by_decoder_norm": False}
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: getattr(weights, name) for name in ("W_enc", "b_enc", "W_dec", "b_dec")}
    if weights.threshold is not None:
        tensors["threshold"] = weights.threshold
    save_file(contiguous(tensors), folder / WEIGHTS_FILE)
    write_atomically(folder / CONFIG_FILE, pretty_json(config))


def read_saelens(folder: Path) -> SAELensWeights:
    """Return what a folder of the format holds, ours or another's.

    Raises:
        ValueError: an architecture, a normalisation or an input rule whose formula is another than
            those above.
    """
    config = of_type(parse_json((folder / CONFIG_FILE).read_text("utf-8")), dict, CONFIG_FILE)
    architecture = config.get("architecture")
    if architecture not in ARCHITECTURES:
        raise ValueError(
            f"architecture is {architecture!r}, allowed are {', '.join(ARCHITECTURES)}"
        )
    needed = {
        "apply_b_dec_to_input": True,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "rescale_acts_by_decoder_norm": False,
    }
    for name, value in needed.items():
        if config.get(name, value) != value:
            raise ValueError(f"{name} is {config[name]!r}, allowed is {json.dumps(value)}")
    tensors = load_file(folder / WEIGHTS_FILE)
    return SAELensWeights(
        W_enc=tensors["W_enc"],
        b_enc=tensors["b_enc"],
        W_dec=tensors["W_dec"],
        b_dec=tensors["b_dec"],
        threshold=tensors["threshold"] if architecture == "jumprelu" else None,
        k=config["k"] if architecture == "topk" else None,
    )
