"""Activations of a site's units on every image of an evaluation set, two numbers per image."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.neurons.sites import Batches, Site, frozen, visited
from seethrough.neurons.token_readings import TokenReadings, token_readings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitActivations:
    """Activations of U units on N images, 8 N U bytes."""

    class_token: Float[Tensor, "N U"]
    """Activation on the class token."""
    patch_maximum: Float[Tensor, "N U"]
    """Largest activation on the other tokens, the patches."""


@torch.no_grad()
def unit_activations(
    model: nn.Module, batches: Batches, sites: tuple[Site, ...]
) -> tuple[dict[Site, UnitActivations], Int64[Tensor, " N"]]:
    """Return the activations of every site in float32, and the labels, in the order of the images.

    All stays on the model's device. The model runs in evaluation mode and is left as it was.

    Raises:
        ValueError: no batch, or a site that the model lacks.
    """
    readings: dict[Site, list[TokenReadings]] = {site: [] for site in sites}
    labels_seen: list[Tensor] = []

    def read(site: Site, vectors: Tensor) -> None:
        readings[site].append(token_readings(site, vectors))

    with frozen(model), visited(model, sites, read):
        for images, labels in batches:
            model(images)
            labels_seen.append(labels)
    if not labels_seen:
        raise ValueError("unit activations need at least one batch, got none")
    activations = {
        site: UnitActivations(
            class_token=torch.cat([part.class_token.float() for part in parts]),
            patch_maximum=torch.cat([part.patch_maximum.float() for part in parts]),
        )
        for site, parts in readings.items()
    }
    return activations, torch.cat(labels_seen)
