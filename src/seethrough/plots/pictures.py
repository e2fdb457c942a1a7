"""Rows of images in one figure."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.plots.style import new_figure

GAP = 3
"""White pixels between two images of a strip."""


def picture_grid(rows: Sequence[Float[Tensor, "_ _ H W"]], labels: Sequence[str]) -> Figure:
    """Draw rows of images in [0, 1], one label per row."""
    figure, _ = new_figure(1, 0.92 * len(rows), 7.0)
    figure.clear()
    for axes, images, label in zip(
        figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows, labels, strict=True
    ):
        draw_strip(axes, images, label)
    return figure


def draw_strip(axes: Axes, images: Float[Tensor, "P C H W"], label: str) -> None:
    """Draw images in [0, 1] side by side in one axes, with a label to their left."""
    padded = F.pad(images, (0, GAP, 0, 0), value=1.0)  # [P C H W+gap]
    strip = torch.cat(list(padded), dim=2)[..., :-GAP]  # [C H P*(W+gap)-gap]
    array = strip.permute(1, 2, 0).numpy()
    axes.imshow(array[..., 0] if array.shape[2] == 1 else array, vmin=0, vmax=1)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    axes.set_frame_on(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
