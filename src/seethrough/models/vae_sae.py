"""The hybrid of VAE and sparse autoencoder (VAE-SAE).

Where the sparse layer sits is unknown from the abstract, so all three places are models here:

| position | input of the SAE        | effect on the VAE                                    |
|----------|-------------------------|------------------------------------------------------|
| beside   | hidden layer h (256)    | none: the input is detached                          |
| in_path  | hidden layer h (256)    | the heads read the SAE's reconstruction of h         |
| latent   | latent mean (10)        | none: the input is detached                          |

A layer beside the VAE cannot touch it. So the VAE is trained once, what the layer would read is
recorded batch by batch (`seethrough.models.recording`), and any number of layers learn from the
record exactly as they would have learnt in company. This module is the VAE, with or without a layer
in its path.

Loss: negative ELBO, plus the sparsifier's penalty for a layer in the path. That layer learns from
the ELBO, as any other layer of the path does; how well it reconstructs h is measured but not asked
for. The ELBO is standard; the rest is our assumption.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, SparseOutput
from seethrough.autoencoders.top_k import TopK
from seethrough.models.vae import D_HIDDEN, VAE, Elbo, negative_elbo, sample_latents
from seethrough.training.checks import check_width
from seethrough.training.initialise import generator_for

POSITIONS = ("beside", "in_path", "latent")


@dataclass(frozen=True, slots=True, kw_only=True)
class PathLayer:
    """A sparse layer in the decoding path, on the 256-unit encoder layer."""

    width: int = 500
    """Units of the dictionary, at least 2 and at least the final k."""
    sparsifier: TopK | L1 = TopK()
    """What keeps the code sparse, and how hard by epoch."""

    def __post_init__(self) -> None:
        check_width(self.width, self.sparsifier.least_width())


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the encoder and a layer in the path compute from a batch."""

    hidden: Tensor
    """The encoder's last hidden layer, [B 256]."""
    mean: Tensor
    """Mean of q(z|x), [B 10]."""
    log_variance: Tensor
    """Log-variance of q(z|x), [B 10]."""
    layer: SparseOutput | None
    """Output of the sparse layer in the path, if there is one."""


@dataclass(frozen=True, slots=True)
class Losses:
    """The parts of one batch's loss, 0-dim each, and what they came from."""

    elbo: Elbo
    """Reconstruction and KL divergence, nats per image."""
    penalty: Tensor
    """The sparsifier's penalty, 0 without a layer in the path."""
    encoding: Encoding
    """Hidden layer, posterior and sparse code of the batch."""


class VAESAE(nn.Module):
    """A VAE with at most one sparse layer in its path; see the module's docstring."""

    def __init__(self, channels: int, layer: PathLayer | None, seed: int) -> None:
        """Draw VAE and layer on the CPU, each from its own stream of `seed`."""
        super().__init__()
        self.vae = VAE.create(channels, generator_for(seed, "vae"))
        self.layer = layer
        self.sae: SparseAutoencoder | None = None
        if layer is not None:
            generator = generator_for(seed, "sae", layer.width)
            sparsifier = layer.sparsifier.module(layer.width)
            self.sae = SparseAutoencoder(D_HIDDEN, layer.width, sparsifier, generator)

    def encode(self, images: Float[Tensor, "B C 64 64"], level: float) -> Encoding:
        """Return hidden layer and posterior at the sparsifier's level (unused without a layer).

        Everything after the convolutional trunk is computed in float32, whatever the trunk's
        precision: a rounded code has ties, and a Top-k would break them by position.
        """
        hidden = self.vae.hidden(images)
        with torch.autocast(hidden.device.type, enabled=False):
            hidden = hidden.float()
            output = None if self.sae is None else self.sae(hidden, level)
            read = hidden if output is None else output.reconstruction
            return Encoding(hidden, *self.vae.posterior(read), output)

    def losses(
        self, images: Float[Tensor, "B C 64 64"], level: float, noise: Float[Tensor, "B 10"]
    ) -> Losses:
        """Return the parts of the loss for one draw of the latents."""
        encoding = self.encode(images, level)
        latents = sample_latents(encoding.mean, encoding.log_variance, noise)
        logits = self.vae.decode(latents).float()
        with torch.autocast(images.device.type, enabled=False):
            elbo = negative_elbo(logits, images, encoding.mean, encoding.log_variance)
            return Losses(elbo, self._penalty(encoding, level), encoding)

    def _penalty(self, encoding: Encoding, level: float) -> Tensor:
        if self.sae is None or self.layer is None or encoding.layer is None:
            return encoding.mean.new_zeros(())
        return self.layer.sparsifier.penalty(encoding.layer.code, self.sae.W_dec, level)
