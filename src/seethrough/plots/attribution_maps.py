"""Pictures of attribution maps over images, one per model."""

import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.attribution.insertion_deletion import InsertionDeletion
from seethrough.attribution.map_sizes import to_pixels
from seethrough.plots.attribution import FLOOR, METHODS, model_text
from seethrough.plots.attribution_tables import share_text
from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.unit_maps import as_png
from seethrough.results import StudyResult
from seethrough.studies.attribution_examples import ExampleMaps

INSERTION, DELETION = "#0072B2", "#D55E00"
SHADE = "inferno"
"""Colours of relevance, dark for little."""


def model_pictures(
    examples: Sequence[ExampleMaps], result: StudyResult, method: str
) -> list[bytes]:
    """Return one PNG per model: images, maps of one method, and its curves beside the floor's."""
    return [as_png(model_picture(one, result, method)) for one in examples]


def model_picture(one: ExampleMaps, result: StudyResult, method: str) -> Figure:
    """Draw a row per image: the image, its map over it, and what insertion and deletion do."""
    n_rows = len(one.pictures)
    figure, _ = new_figure(1, 0.8 + 1.75 * n_rows, 7.0)
    figure.clear()
    rows = figure.subplots(n_rows, 3, squeeze=False, width_ratios=[1, 1, 2.1])
    for number, (image, shaded, curves) in enumerate(rows):
        draw_image(image, one.pictures[number])
        draw_map(shaded, one.pictures[number], one.maps[method][number])
        draw_curves(curves, one, method, number)
        image.set_ylabel(_prediction(one, number, method), fontsize=7)
    rows[0, 0].set_title("image")
    rows[0, 1].set_title("relevance")
    rows[-1, 2].set_xlabel("share changed")
    one_legend(figure)
    name = one.condition.name
    figure.suptitle(f"{model_text(name)}: {share_text(result, 'accuracy', name)} of images right",
                    fontsize=10)  # fmt: skip
    return figure


def all_methods(examples: Sequence[ExampleMaps], number: int = 0) -> Figure:
    """Draw one image: a row per model, a column per method, each map in its own range."""
    methods = [method for method in examples[0].maps if method != FLOOR]
    figure, _ = new_figure(1, 1.0 * len(examples) + 0.5, 7.0)
    figure.clear()
    rows = figure.subplots(len(examples), 1 + len(methods), squeeze=False)
    for row, one in zip(rows, examples, strict=True):
        draw_image(row[0], one.pictures[number])
        row[0].set_ylabel(model_text(one.condition.name).replace(", ", ",\n"), fontsize=7)
        for axes, method in zip(row[1:], methods, strict=True):
            draw_map(axes, one.pictures[number], one.maps[method][number])
    for axes, title in zip(rows[0], ["image", *(METHODS[m] for m in methods)], strict=True):
        axes.set_title("\n".join(textwrap.wrap(title, 14)), fontsize=7)
    return figure


def alt_texts(examples: Sequence[ExampleMaps], method: str) -> list[str]:
    """Return for each model what its picture shows."""
    return [
        f"{len(one.pictures)} images, their maps by {METHODS[method]} and the probability of the "
        f"predicted class as patches are inserted and deleted: {model_text(one.condition.name)}"
        for one in examples
    ]


def draw_image(axes: Axes, picture: Float[Tensor, "3 H W"]) -> None:
    """Draw an image in [0, 1] without ticks."""
    axes.imshow(picture.permute(1, 2, 0).numpy(), vmin=0, vmax=1)
    _without_frame(axes)


def draw_map(axes: Axes, picture: Float[Tensor, "3 H W"], relevance: Float[Tensor, "h w"]) -> None:
    """Draw positive relevance, upsampled, over the image in grey.

    Each map has its own range, from 0 to its largest value: maps of two models compare in place,
    not in height.
    """
    size = (picture.shape[1], picture.shape[2])
    shown = to_pixels(relevance.relu()[None], size)[0]
    axes.imshow(picture.mean(dim=0).numpy(), cmap="gray", vmin=0, vmax=1)
    axes.imshow(shown.numpy(), cmap=SHADE, vmin=0, vmax=max(float(shown.max()), 1e-12), alpha=0.65)
    _without_frame(axes)


def draw_curves(axes: Axes, one: ExampleMaps, method: str, number: int) -> None:
    """Draw both curves of one image, and those of the random order as thin dashes if there."""
    for name, width, line in ((FLOOR, 0.8, "--"), (method, 1.6, "-")):
        if name in one.curves:
            found: InsertionDeletion = one.curves[name]
            floor = ", random" if name == FLOOR and name != method else ""
            for kind, color in (("insertion", INSERTION), ("deletion", DELETION)):
                values = getattr(found, kind)[number]
                axes.plot(found.fractions, values, line, lw=width, color=color, label=kind + floor)
    axes.axhline(_clean(one, method, number), color=DEAD, lw=0.6, ls=":")
    axes.set(ylim=(0, 1.02), xlim=(0, 1), yticks=np.linspace(0, 1, 3))


def _without_frame(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.set_frame_on(False)


def _prediction(one: ExampleMaps, number: int, method: str) -> str:
    right = one.predictions[number] == one.truths[number]
    words = [f"says {one.predictions[number]}", f"with {100 * _clean(one, method, number):.0f} %"]
    words.append("which is right" if right else f"it is {one.truths[number]}")
    return "\n".join(words)


def _clean(one: ExampleMaps, method: str, number: int) -> float:
    return float(one.curves[method].clean_probability[number])
