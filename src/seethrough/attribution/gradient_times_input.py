"""Gradient times input: how far each pixel moves the logit, to first order."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.model_state import evaluating, frozen_parameters
from seethrough.attribution.targets import chosen_targets, of_targets


def gradient_times_input(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
) -> Float[Tensor, "B H W"]:
    """Return gradient times input of the target's logit, summed over channels, signed.

    The first-order estimate of what a pixel adds over one of value 0 in normalised space
    ({cite:t}`shrikumar2017learning`). Targets left out are the predicted classes. For any
    classifier; for maps by patch see `to_patches`.

    Raises:
        ValueError: no images, or a target that is not there.
    """
    if len(images) == 0:
        raise ValueError("attribution needs at least one image, got none")
    with evaluating(model), frozen_parameters(model), torch.enable_grad():
        pixels = images.detach().requires_grad_(True)
        logits = model(pixels)
        score = of_targets(logits, chosen_targets(logits, targets)).sum()
        (gradient,) = torch.autograd.grad(score, [pixels])
    return (gradient * images.detach()).sum(dim=1)
