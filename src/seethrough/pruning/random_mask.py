"""Random pruning: the control that knows nothing of the weights."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.pruning.selection import keep_highest


def random_mask(
    shape: tuple[int, int],
    sparsity: int | float,
    generator: torch.Generator,
    group: str = "row",
) -> Bool[Tensor, "out in"]:
    """Return True for weights drawn evenly, the same number in each group, on generator's device.

    Counts and errors are those of `keep_highest`. One state of the generator gives nested masks: a
    weight that goes at some sparsity also goes at every higher one.

    >>> int(random_mask((2, 10), 0.7, torch.Generator().manual_seed(0)).sum())
    6
    """
    return keep_highest(random_scores(shape, generator), sparsity, group)


def random_scores(shape: tuple[int, int], generator: torch.Generator) -> Float[Tensor, "out in"]:
    """Return independent scores from 0 to 1, float32, on the generator's device."""
    return torch.rand(shape, generator=generator, device=generator.device)
