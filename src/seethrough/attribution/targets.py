"""The class that is explained, one per image."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def chosen_targets(
    logits: Float[Tensor, "B C"], targets: Int64[Tensor, " B"] | None
) -> Int64[Tensor, " B"]:
    """Return the targets on the logits' device; None chooses the predicted classes.

    A tie of logits goes to the lower class on the CPU.

    Raises:
        ValueError: not one target per image, or a target that is no class of the model.
    """
    if targets is None:
        return logits.detach().argmax(dim=1)
    if targets.shape != logits.shape[:1]:
        raise ValueError(
            f"targets have shape {tuple(targets.shape)}, allowed is ({len(logits)},), one per image"
        )
    low, high = (int(bound) for bound in torch.aminmax(targets))
    if low < 0 or high >= logits.shape[1]:
        wrong = low if low < 0 else high
        raise ValueError(f"target {wrong} is no class, allowed is 0 to {logits.shape[1] - 1}")
    return targets.to(logits.device)


def of_targets(values: Float[Tensor, "B C"], targets: Int64[Tensor, " B"]) -> Float[Tensor, " B"]:
    """Return each image's value of its target: a logit or a probability."""
    return values.gather(1, targets[:, None])[:, 0]
