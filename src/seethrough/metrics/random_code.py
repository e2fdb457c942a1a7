"""A code that knows nothing, made of the values of a given one: the control for scores of codes."""

import torch
from jaxtyping import Float
from torch import Tensor


def random_code(like: Float[Tensor, "N M"], generator: torch.Generator) -> Float[Tensor, "N M"]:
    """Return `like` with every unit's values in another order of the images, one order per unit.

    Every unit keeps its own distribution: mean, scale, share of images it fires on, dead or not.
    What it knew of the factors and of the other units is gone, and with it the number of active
    units per image, which now varies. `shuffled` of the factors is the milder control: it keeps
    what the units know of each other. No images or no units give an empty code.
    """
    keys = torch.rand(like.shape, generator=generator, device=generator.device)
    return like.gather(0, keys.argsort(dim=0).to(like.device))
