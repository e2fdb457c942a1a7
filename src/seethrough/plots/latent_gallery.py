"""Pictures of single latents: the images on which they are highest, one picture per model."""

import textwrap
from collections.abc import Sequence

import torch
from matplotlib.figure import Figure

from seethrough.plots.pictures import draw_strip
from seethrough.plots.sparsity_curves import Model
from seethrough.plots.style import new_figure
from seethrough.plots.unit_maps import as_png
from seethrough.studies.latent_gallery import ModelGallery


def gallery_pictures(galleries: Sequence[ModelGallery]) -> dict[str, bytes]:
    """Return label -> PNG, one picture per model, its latents below each other."""
    return {model_label(one): as_png(gallery_picture(one)) for one in galleries}


def gallery_picture(one: ModelGallery) -> Figure:
    """Draw a line per latent: what it knows, and its highest images; a note where none is active.

    Strips with fewer images are filled up with white.
    """
    n_lines = max(1, len(one.latents))
    figure, _ = new_figure(1, 0.4 + 0.8 * n_lines, 7.0)
    figure.clear()
    counted = f"latents active on 1 % of the images or more: {one.n_frequent:,}"
    figure.suptitle(f"{model_label(one)}; {counted}", fontsize=9)
    lines = figure.subplots(n_lines, 1, squeeze=False)[:, 0]
    if not one.latents:
        lines[0].set_axis_off()
        lines[0].text(
            0.5, 0.5, "No latent is active on 1 % of the images.", ha="center", va="center"
        )
        return figure
    most = max(len(latent.pictures) for latent in one.latents)
    for axes, latent in zip(lines, one.latents, strict=True):
        pictures = latent.pictures
        white = pictures.new_ones(most - len(pictures), *pictures.shape[1:])
        words = f"at random: {latent.words}" if latent.at_random else latent.words
        draw_strip(axes, torch.cat([pictures, white]), "\n".join(textwrap.wrap(words, 24)))
    return figure


def gallery_alts(galleries: Sequence[ModelGallery]) -> list[str]:
    """Return for each model what its picture shows."""
    return [
        f"{model_label(one)}: one line of images per latent, {len(one.latents)} in all, highest "
        f"activation first"
        for one in galleries
    ]


def model_label(one: ModelGallery) -> str:
    """Return the model in words."""
    return Model(one.condition.name, one.condition.sparsity).label
