"""Pictures of single latents."""

import torch

from seethrough.plots import latent_gallery as shown
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.studies.impact_models import Condition
from seethrough.studies.latent_gallery import ModelGallery, ShownLatent

DENSE = Condition(method="dense")
SPARSE = Condition(method="wanda", sparsity=0.7, recovered=True)


def latent(n: int, at_random: bool = False) -> ShownLatent:
    return ShownLatent(words="shape 50 %", at_random=at_random, pictures=torch.rand(n, 3, 8, 8))


def gallery(condition: Condition, *latents: ShownLatent) -> ModelGallery:
    return ModelGallery(condition=condition, n_frequent=12, latents=latents)


def test_one_picture_per_model() -> None:
    galleries = [gallery(DENSE, latent(3), latent(1, at_random=True)), gallery(SPARSE)]
    pictures = shown.gallery_pictures(galleries)
    assert list(pictures) == ["dense, as released", "70 % removed"]
    assert all(png.startswith(PNG_SIGNATURE) for png in pictures.values())
    alts = shown.gallery_alts(galleries)
    assert len(alts) == 2
    assert "2 in all" in alts[0]


def test_strips_are_filled_up_to_the_same_width() -> None:
    figure = shown.gallery_picture(gallery(DENSE, latent(3), latent(1, at_random=True)))
    first, second = (axes.images[0].get_array() for axes in figure.axes)
    assert first is not None
    assert second is not None
    # Three pictures of 8 pixels with gaps of 3 between them.
    assert first.shape == second.shape == (8, 3 * 8 + 2 * 3, 3)
    assert float(second[:, 8:].min()) == 1.0
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["shape 50 %", "at random: shape 50 %"]


def test_a_model_without_frequent_latents_has_a_note() -> None:
    figure = shown.gallery_picture(gallery(SPARSE))
    assert figure.axes[0].texts[0].get_text().startswith("No latent is active")
