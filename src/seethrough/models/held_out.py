"""Measure a VAE-SAE on held-out images: hidden layer, latent means, reconstruction, MIG."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from seethrough.autoencoders.sparse_autoencoder import SparseOutput
from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.models.vae import VAE, negative_elbo
from seethrough.models.vae_sae import VAESAE
from seethrough.training.initialise import generator_for

N_PICTURES = 8
"""Held-out images whose reconstruction is kept when codes are scored."""
N_DECODED = 256
"""Held-out images on which reconstruction is scored: decoding costs more than encoding."""
_BATCH = 512


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Images that training never sees, with their factors."""

    images: UInt8[Tensor, "N C H W"]
    """Pixels, 0 to `max_value`."""
    classes: Int64[Tensor, "N F"]
    """Factor classes in the data set's order."""
    max_value: int
    """Pixel value of full brightness: 1 or 255."""

    def pixels(self, start: int, stop: int) -> Float[Tensor, "B C H W"]:
        """Return images as numbers in [0, 1]."""
        return pixels(self.images[start:stop], self.max_value)


@dataclass(frozen=True, slots=True)
class Representations:
    """What a model makes of a set of images."""

    hidden: Float[Tensor, "N 256"]
    """The encoder's last hidden layer."""
    mean: Float[Tensor, "N 10"]
    """Latent means."""
    layer: SparseOutput | None
    """Output of the sparse layer in the path, if there is one."""


def pixels(images: UInt8[Tensor, "B C H W"], max_value: int) -> Float[Tensor, "B C H W"]:
    """Return bytes as numbers in [0, 1]."""
    return images.float().div_(max_value)


@torch.no_grad()
def representations(
    model: VAESAE, images: UInt8[Tensor, "N C H W"], max_value: int, level: float
) -> Representations:
    """Return every representation of the images at one level of the sparsifier."""
    parts = [
        model.encode(pixels(some, max_value), level)
        for some in images.split(_BATCH)  # type: ignore[no-untyped-call]
    ]
    layers = [part.layer for part in parts if part.layer is not None]
    layer = None
    if layers:
        layer = SparseOutput(
            torch.cat([part.inputs for part in layers]),
            torch.cat([part.relu_code for part in layers]),
            torch.cat([part.code for part in layers]),
            torch.cat([part.reconstruction for part in layers]),
        )
    return Representations(
        torch.cat([part.hidden for part in parts]), torch.cat([part.mean for part in parts]), layer
    )


@torch.no_grad()
def measure_means(
    vae: VAE, means: Float[Tensor, "N 10"], held: HeldOut, seed: int
) -> dict[str, float]:
    """Return MIG of the latent means with its control, and the VAE's own reconstruction error.

    `seed` decides the shuffle of the factors, the same one after every epoch.
    """
    others = shuffled(held.classes, generator_for(seed, "shuffle"))
    return {
        "mig_mean": information_scores(means, held.classes).gap,
        "mig_mean_shuffled": information_scores(means, others).gap,
        "reconstruction_own": reconstruction_error(vae, means, held),
    }


@torch.no_grad()
def reconstruction_error(vae: VAE, latents: Float[Tensor, "N 10"], held: HeldOut) -> float:
    """Return the Bernoulli negative log-likelihood of the first 256 images, nats per image.

    Decoded from `latents` without noise.
    """
    images = held.pixels(0, N_DECODED)
    logits = vae.decode(latents[:N_DECODED])
    zeros = torch.zeros_like(latents[:N_DECODED])
    return float(negative_elbo(logits, images, zeros, zeros).reconstruction)


@torch.no_grad()
def pictures(vae: VAE, latents: Float[Tensor, "N 10"]) -> UInt8[Tensor, "P C H W"]:
    """Return what the decoder makes of the first latents, 0 to 255."""
    return (vae.decode(latents[:N_PICTURES]).sigmoid() * 255).round().to(torch.uint8)
