"""Tasks by name, and the images on which circuits are learned and judged.

A task is named after a class, or after a part of the classes' names: with "cube, size 3, hue 5"
among the classes, "cube" is the task of telling all cubes from the rest.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from seethrough.circuits.class_tasks import (
    ClassTask,
    TaskExamples,
    balanced_examples,
    shuffled_examples,
)
from seethrough.data.kept_images import kept_images
from seethrough.data.labelled_images import LabelledImages
from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.data.shapes3d_factors import FACTOR_NAMES, SHAPE_NAMES
from seethrough.studies.impact_models import Material
from seethrough.training.initialise import generator_for
from seethrough.unknown_name import unknown

UNSEEN_HUES = (2, 7)
"""Hues of object and wall that the circuit of the colour test never meets, of 0 to 9."""
SEEN, UNSEEN = "seen", "unseen"
"""Images whose object and wall both have other hues, and those where both have one of these."""


@dataclass(frozen=True)
class Examples:
    """Images of a task, kept in memory."""

    images: LabelledImages
    """Where they are read."""
    pairs: TaskExamples
    """Which they are."""


def task_named(name: str, class_names: tuple[str, ...]) -> ClassTask:
    """Return the task of a name: one class, or all classes of which it is a part.

    >>> task_named("cube", ("cube, hue 0", "cube, hue 1", "sphere, hue 0")).classes
    (0, 1)

    Raises:
        ValueError: no class has this name or part.
    """
    parts = {part: None for whole in class_names for part in (whole, *whole.split(", "))}
    if name not in parts:
        raise ValueError(f"task {unknown(name, list(parts))}")
    if name in class_names:
        return ClassTask(name=name, classes=(class_names.index(name),))
    members = (i for i, whole in enumerate(class_names) if name in whole.split(", "))
    return ClassTask(name=name, classes=tuple(members))


def learned_examples(
    source: Material, task: ClassTask, n_pairs: int, seed: int, hues: str = ""
) -> Examples:
    """Return training images of a task, of some hues alone if so wanted."""
    index = _of_hues(source.training, source.train_index, hues)
    draws = generator_for(seed, "learned", task.name, hues)
    return _examples(source.training, index, task, n_pairs, draws)


def heldout_examples(
    source: Material, task: ClassTask, n_pairs: int, seed: int, hues: str = ""
) -> Examples:
    """Return held-out images of a task, of some hues alone if so wanted."""
    index = _of_hues(source.evaluation, source.heldout, hues)
    draws = generator_for(seed, "judged", task.name, hues)
    return _examples(source.evaluation, index, task, n_pairs, draws)


def with_shuffled_labels(examples: Examples, seed: int) -> Examples:
    """Return the same images with their labels dealt anew."""
    draws = generator_for(seed, "shuffled", examples.pairs.task.name)
    return Examples(examples.images, shuffled_examples(examples.pairs, draws))


def has_unseen_hues(source: Material, task: ClassTask) -> bool:
    """Return whether hues are known and have no part in the task."""
    return isinstance(source.training, Shapes3DClasses) and task.name in SHAPE_NAMES


def _examples(
    images: LabelledImages,
    index: Int64[Tensor, " N"],
    task: ClassTask,
    n_pairs: int,
    draws: torch.Generator,
) -> Examples:
    pairs = balanced_examples(images, index, task, n_pairs, draws)
    both = torch.cat([pairs.positives, pairs.negatives])
    return Examples(kept_images(images, both), pairs)


def _of_hues(
    images: LabelledImages, index: Int64[Tensor, " N"], hues: str
) -> Int64[Tensor, " some"]:
    """Return the images whose object and wall have the hues wanted; all, if none are named."""
    if not hues:
        return index
    assert isinstance(images, Shapes3DClasses)
    columns = [FACTOR_NAMES.index(f"{part}_hue") for part in ("object", "wall")]
    among = torch.isin(images.factor_classes(index)[:, columns], torch.tensor(UNSEEN_HUES))
    return index[among.all(dim=1) if hues == UNSEEN else ~among.any(dim=1)]
