"""The variational autoencoder of disentanglement studies.

Symbols: x images (B C 64 64), h hidden layer (B 256), mean and log_variance of q(z|x) (B 10),
z latent sample (B 10).

Encoder: convolutions 32 k4 s2, 32 k4 s2, 64 k2 s2, 64 k2 s2, each with ReLU, then a dense layer of
256 with ReLU (h) and two linear heads. Decoder: dense 256 and 1024 with ReLU, transposed
convolutions 64, 32, 32, C, all k4 s2, logits out. This is the architecture of
{cite:t}`locatello2019challenging`; the paper under test names none.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.training.initialise import reset_parameters

D_HIDDEN = 256
N_LATENTS = 10


@dataclass(frozen=True, slots=True)
class Elbo:
    """The two parts of the negative evidence lower bound, in nats per image."""

    reconstruction: Tensor
    """Bernoulli negative log-likelihood, summed over pixels, mean over images, 0-dim."""
    divergence: Tensor
    """KL divergence of q(z|x) from the standard normal, mean over images, 0-dim."""

    def loss(self, beta: float) -> Tensor:
        """Return reconstruction + beta x divergence, 0-dim."""
        return self.reconstruction + beta * self.divergence


class VAE(nn.Module):
    """Convolutional VAE with 10 latents for 64 x 64 images; see the module's docstring."""

    def __init__(self, channels: int) -> None:
        """Make the layers for images of `channels` channels, with undefined parameters."""
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(channels, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 64, 2, 2),
            nn.ReLU(inplace=True),
            nn.Conv2d(64, 64, 2, 2),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(64 * 4 * 4, D_HIDDEN),
            nn.ReLU(),
        )
        self.head = nn.Linear(D_HIDDEN, 2 * N_LATENTS)
        self.decoder = nn.Sequential(
            nn.Linear(N_LATENTS, 256),
            nn.ReLU(inplace=True),
            nn.Linear(256, 64 * 4 * 4),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (64, 4, 4)),
            nn.ConvTranspose2d(64, 64, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, 32, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(32, channels, 4, 2, 1),
        )

    @classmethod
    def create(cls, channels: int, generator: torch.Generator) -> "VAE":
        """Return a VAE on the CPU, channels-last, drawn from `generator` alone."""
        with torch.device("meta"):
            vae = cls(channels)
        vae.to_empty(device="cpu")
        reset_parameters(vae, generator)
        vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return vae

    def hidden(self, images: Float[Tensor, "B C 64 64"]) -> Float[Tensor, "B 256"]:
        """Return the encoder's last hidden layer, non-negative."""
        out: Tensor = self.trunk(images)
        return out

    def posterior(
        self, hidden: Float[Tensor, "B 256"]
    ) -> tuple[Float[Tensor, "B 10"], Float[Tensor, "B 10"]]:
        """Return mean and log-variance of q(z|x)."""
        mean, log_variance = self.head(hidden).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latents: Float[Tensor, "B 10"]) -> Float[Tensor, "B C 64 64"]:
        """Return the logits of every pixel's Bernoulli mean."""
        logits: Tensor = self.decoder(latents)
        return logits


def sample_latents(
    mean: Float[Tensor, "B 10"], log_variance: Float[Tensor, "B 10"], noise: Float[Tensor, "B 10"]
) -> Float[Tensor, "B 10"]:
    """Return mean + standard deviation x noise (the reparameterised sample)."""
    return mean + (0.5 * log_variance).exp() * noise


def negative_elbo(
    logits: Float[Tensor, "B C 64 64"],
    images: Float[Tensor, "B C 64 64"],
    mean: Float[Tensor, "B 10"],
    log_variance: Float[Tensor, "B 10"],
) -> Elbo:
    """Return both parts of the negative ELBO {cite:p}`kingma2014vae`; images lie in [0, 1]."""
    n_images = images.shape[0]
    reconstruction = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return Elbo(reconstruction / n_images, divergence / n_images)
