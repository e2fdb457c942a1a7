"""Units to compare the ranked ones with: as many at random, or all."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor

from seethrough.neurons.attribution_patching import top_units
from seethrough.neurons.sites import Site


def random_units(
    n_units: Mapping[Site, int], count: int, n_classes: int, generator: torch.Generator
) -> dict[Site, Bool[Tensor, "C _"]]:
    """Return, for each class, `count` units drawn without replacement from all sites together.

    Every class has its own draw, so that a mean over classes does not hang on one lucky set. On
    the generator's device; the same generator state gives the same units.

    Raises:
        ValueError: `count` below 1 or above the number of units.
    """
    draws = {
        site: torch.rand(n_classes, n, generator=generator, device=generator.device)
        for site, n in n_units.items()
    }
    return top_units(draws, count)


def all_units(n_units: Mapping[Site, int], n_classes: int) -> dict[Site, Bool[Tensor, "C _"]]:
    """Return every unit of every site, for each class; on the CPU."""
    return {site: torch.ones(n_classes, n, dtype=torch.bool) for site, n in n_units.items()}
