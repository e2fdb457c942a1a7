"""What the notebook of attribution shows of single images: maps, curves and predictions."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.insertion_deletion import (
    InsertionDeletion,
    Reference,
    Unit,
    insertion_deletion,
)
from seethrough.data.preprocessing import Preprocessing
from seethrough.store import ArtifactStore
from seethrough.studies.impact_attribution import Parameters, maps_of
from seethrough.studies.impact_models import Condition, Material, material, models


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExampleMaps:
    """P images as one model sees them; everything is on the CPU."""

    condition: Condition
    """The model."""
    pictures: Float[Tensor, "P 3 H W"]
    """The images as one sees them, 0 to 1."""
    truths: tuple[str, ...]
    """Name of each image's class."""
    predictions: tuple[str, ...]
    """Name of the class that the model predicts, which every map explains."""
    maps: dict[str, Float[Tensor, "P h w"]]
    """Method -> relevance by patch."""
    curves: dict[str, InsertionDeletion]
    """Method -> curves by the study's first unit and first reference."""


def example_maps(
    parameters: Parameters, n_pictures: int = 3, store: ArtifactStore | None = None
) -> list[ExampleMaps]:
    """Return the first explained images of the study as each model sees them, first seed.

    At most `n_images` of the parameters are taken. Models that are nowhere are made.

    Raises:
        ValueError: `n_pictures` below 1.
    """
    if n_pictures < 1:
        raise ValueError(f"n_pictures is {n_pictures}, allowed is at least 1")
    source = material(parameters)
    rows = source.heldout[: min(n_pictures, parameters.n_images)]
    made = models(parameters, parameters.conditions(), store or ArtifactStore())
    return [
        _of_model(model, condition, source, rows, parameters)
        for condition, seed, model in made
        if seed == parameters.seeds[0]
    ]


def as_seen(
    images: Float[Tensor, "P 3 H W"], preprocessing: Preprocessing
) -> Float[Tensor, "P 3 H W"]:
    """Return a classifier's inputs as pictures: normalisation undone, cut off to 0 to 1."""
    mean = images.new_tensor(preprocessing.mean)[:, None, None]
    std = images.new_tensor(preprocessing.std)[:, None, None]
    return (images * std + mean).clamp(0, 1)


def _of_model(
    model: nn.Module,
    condition: Condition,
    source: Material,
    rows: Int64[Tensor, " P"],
    parameters: Parameters,
) -> ExampleMaps:
    images = source.evaluation.images(rows).to(parameters.device)
    with torch.no_grad():
        targets = model(images).argmax(dim=1)
    seed = parameters.seeds[0]
    maps = {
        method: maps_of(method, model, images, targets, parameters, seed)
        for method in parameters.methods
    }
    names = source.evaluation.class_names
    return ExampleMaps(
        condition=condition,
        pictures=as_seen(images, source.classifier.preprocessing).cpu(),
        truths=tuple(names[label] for label in source.evaluation.labels[rows].tolist()),
        predictions=tuple(names[label] for label in targets.tolist()),
        maps={method: found.cpu() for method, found in maps.items()},
        curves={
            method: _curves(model, images, found, targets, parameters)
            for method, found in maps.items()
        },
    )


def _curves(
    model: nn.Module,
    images: Float[Tensor, "P 3 H W"],
    maps: Float[Tensor, "P h w"],
    targets: Int64[Tensor, " P"],
    parameters: Parameters,
) -> InsertionDeletion:
    unit, reference = cast(Unit, parameters.units[0]), cast(Reference, parameters.references[0])
    found = insertion_deletion(
        model, images, maps, targets, unit, parameters.n_steps, reference, parameters.batch_size
    )
    return InsertionDeletion(
        targets=found.targets.cpu(),
        fractions=found.fractions.cpu(),
        deletion=found.deletion.cpu(),
        insertion=found.insertion.cpu(),
    )
