"""Integrated gradients: gradients along the straight line from a baseline to the image."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.model_state import evaluating, frozen_parameters
from seethrough.attribution.targets import chosen_targets


def integrated_gradients(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
    n_steps: int = 32,
    batch_size: int = 64,
) -> Float[Tensor, "B H W"]:
    """Return integrated gradients of the target's logit, summed over channels, signed.

    By captum ({cite:t}`sundararajan2017axiomatic`): `n_steps` points of Gauss-Legendre quadrature
    from the baseline, 0 in normalised space, to the image. With enough points a map sums to the
    logit at the image minus that at the baseline. `batch_size` points of all images are in the
    model at once, but always at least one of each image. Targets left out are the predicted
    classes. For any classifier; for maps by patch see `to_patches`.

    Raises:
        ValueError: no images, a target that is not there, `n_steps` or `batch_size` below 1.
        ImportError: captum is not installed.
    """
    from captum.attr import IntegratedGradients  # here: captum is needed for this method alone

    if len(images) == 0:
        raise ValueError("attribution needs at least one image, got none")
    if n_steps < 1 or batch_size < 1:
        raise ValueError(
            f"n_steps and batch_size are {n_steps} and {batch_size}, allowed is at least 1"
        )
    pixels = images.detach()
    with evaluating(model), frozen_parameters(model), torch.enable_grad():
        with torch.no_grad():
            chosen = chosen_targets(model(pixels), targets)
        by_channel = IntegratedGradients(model).attribute(
            pixels,
            baselines=0,
            target=chosen,
            n_steps=n_steps,
            method="gausslegendre",
            internal_batch_size=max(batch_size, len(pixels)),
        )
    attribution: Tensor = by_channel.detach().sum(dim=1)
    return attribution
