"""Measure a VAE-SAE on held-out images: activity of units, MIG, reconstruction."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from seethrough.metrics.dead_units import unit_activity
from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.models.initialise import generator_for
from seethrough.models.vae import negative_elbo
from seethrough.models.vae_sae import VAESAE

N_PICTURES = 8
"""Held-out images whose reconstruction is kept after every epoch."""
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
        return self.images[start:stop].float() / self.max_value


@dataclass(frozen=True, slots=True)
class HeldOutCodes:
    """A model's representations of the held-out images."""

    means: Float[Tensor, "N 10"]
    """Latent means."""
    relu_codes: tuple[Tensor, ...]
    """Per branch: code before the sparsifier, [N M]."""
    codes: tuple[Tensor, ...]
    """Per branch: code after the sparsifier, [N M]."""
    means_through_code: tuple[Tensor, ...]
    """Per branch: latent mean when the decoder must read the sparse reconstruction, [N 10]."""
    unexplained: tuple[float, ...]
    """Per branch: fraction of variance unexplained over all held-out images."""


@torch.no_grad()
def heldout_codes(model: VAESAE, heldout: HeldOut, k: int) -> HeldOutCodes:
    """Return every representation of the held-out images with k active units."""
    means, relu, codes, through, reconstructed, inputs = [], [], [], [], [], []
    for start in range(0, len(heldout.images), _BATCH):
        encoding = model.encode(heldout.pixels(start, start + _BATCH), k)
        means.append(encoding.mean)
        relu.append([output.relu_code for output in encoding.branches])
        codes.append([output.code for output in encoding.branches])
        reconstructed.append([output.reconstruction for output in encoding.branches])
        inputs.append([output.inputs for output in encoding.branches])
        through.append(
            [model.mean_through_code(encoding, number) for number in range(len(model.branches))]
        )
    return HeldOutCodes(
        torch.cat(means),
        _per_branch(relu),
        _per_branch(codes),
        _per_branch(through),
        tuple(
            _unexplained(x_hat, x)
            for x_hat, x in zip(_per_branch(reconstructed), _per_branch(inputs), strict=True)
        ),
    )


def _per_branch(batches: list[list[Tensor]]) -> tuple[Tensor, ...]:
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))


def _unexplained(reconstruction: Tensor, inputs: Tensor) -> float:
    error = (reconstruction.double() - inputs.double()).square().sum()
    variance = (inputs.double() - inputs.double().mean(0)).square().sum()
    return float(error / variance.clamp_min(1e-12))


@torch.no_grad()
def evaluate(
    model: VAESAE, heldout: HeldOut, k: int, seed: int
) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Return one epoch's measurements as scalars and tensors (names: see History).

    `seed` decides the shuffle of the controls, the same one after every epoch.
    """
    held = heldout_codes(model, heldout, k)
    others = shuffled(heldout.classes, generator_for(seed, "shuffle"))
    scalars = {
        "k": float(k),
        "mig_mean": information_scores(held.means, heldout.classes).gap,
        "mig_mean_shuffled": information_scores(held.means, others).gap,
        "reconstruction": _reconstruction(model, heldout, held.means),
    }
    tensors = {"pictures/own": _pictures(model, held.means)}
    for number, branch in enumerate(model.branches):
        code, name = held.codes[number], branch.name
        activity = unit_activity([(held.relu_codes[number], code)])
        tensors[f"units/{name}/relu_count"] = activity.relu_count
        tensors[f"units/{name}/fired_count"] = activity.fired_count
        tensors[f"units/{name}/max_activation"] = activity.max_activation
        tensors[f"pictures/{name}"] = _pictures(model, held.means_through_code[number])
        scalars[f"active/{name}"] = float((code > 0).sum(1).double().mean())
        scalars[f"unexplained/{name}"] = held.unexplained[number]
        for label, classes in (("", heldout.classes), ("_shuffled", others)):
            scores = information_scores(code, classes)
            scalars[f"mig_code{label}/{name}"] = scores.gap
            scalars[f"best_information{label}/{name}"] = scores.best
        scalars[f"reconstruction/{name}"] = _reconstruction(
            model, heldout, held.means_through_code[number]
        )
    return scalars, tensors


def _reconstruction(model: VAESAE, heldout: HeldOut, latents: Tensor) -> float:
    """Bernoulli negative log-likelihood in nats per image, decoded from `latents`, no noise."""
    images = heldout.pixels(0, N_DECODED)
    logits = model.vae.decode(latents[:N_DECODED])
    zeros = torch.zeros_like(latents[:N_DECODED])
    return float(negative_elbo(logits, images, zeros, zeros).reconstruction)


def _pictures(model: VAESAE, latents: Tensor) -> UInt8[Tensor, "P C H W"]:
    return (model.vae.decode(latents[:N_PICTURES]).sigmoid() * 255).round().to(torch.uint8)
