import math

import pytest
import torch
from torch import Tensor

from seethrough.autoencoders.top_k import TopK
from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.models import held_out
from seethrough.models.held_out import (
    HeldOut,
    measure_means,
    pictures,
    pixels,
    reconstruction_error,
    representations,
)
from seethrough.models.vae import VAE
from seethrough.models.vae_sae import VAESAE, PathLayer
from seethrough.training.initialise import generator_for

N_PIXELS = 64 * 64
CLASSES = torch.cartesian_prod(torch.arange(3), torch.arange(2)).repeat(2, 1)


def images(n: int = 12) -> Tensor:
    return torch.rand(n, 1, 64, 64, generator=generator_for(1)).round().to(torch.uint8)


@pytest.fixture
def held() -> HeldOut:
    return HeldOut(images(), CLASSES, max_value=1)


@pytest.fixture
def vae() -> VAE:
    return VAE.create(1, generator_for(0))


def grey(vae: VAE, logit: float) -> VAE:
    """Return the VAE with a decoder that gives every pixel the same logit."""
    last = list(vae.decoder)[-1]
    with torch.no_grad():
        for parameter, value in zip(last.parameters(), (0.0, logit), strict=True):
            parameter.fill_(value)
    return vae


@pytest.mark.parametrize("max_value", [1, 255])
def test_pixels_lie_between_0_and_1(max_value: int) -> None:
    bytes_ = torch.tensor([0, max_value], dtype=torch.uint8).reshape(2, 1, 1, 1)
    assert pixels(bytes_, max_value).flatten().tolist() == [0, 1]
    assert HeldOut(bytes_, CLASSES[:2], max_value).pixels(1, 2).flatten().tolist() == [1]
    assert bytes_.flatten().tolist() == [0, max_value]


@pytest.mark.parametrize("layer", [None, PathLayer(width=20, sparsifier=TopK(start=9, end=3))])
def test_batches_do_not_show(layer: PathLayer | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_out, "_BATCH", 5)
    model = VAESAE(1, layer, seed=0)
    found = representations(model, images(), 1, 3.0)
    whole = model.encode(images().float(), 3.0)
    torch.testing.assert_close(found.hidden, whole.hidden)
    torch.testing.assert_close(found.mean, whole.mean)
    assert not found.mean.requires_grad
    if whole.layer is None:
        assert found.layer is None
        return
    assert found.layer is not None
    for name in ("inputs", "relu_code", "code", "reconstruction"):
        torch.testing.assert_close(getattr(found.layer, name), getattr(whole.layer, name))


def test_reconstruction_error_worked_by_hand(vae: VAE, held: HeldOut) -> None:
    """An even decoder costs ln 2 per pixel; logit ln 3 means probability 3/4 of white."""
    latents = torch.zeros(12, 10)
    even = reconstruction_error(grey(vae, 0.0), latents, held)
    assert even == pytest.approx(N_PIXELS * math.log(2))
    white = float(held.images.float().mean())
    bright = reconstruction_error(grey(vae, math.log(3)), latents, held)
    by_hand = -N_PIXELS * (white * math.log(3 / 4) + (1 - white) * math.log(1 / 4))
    assert bright == pytest.approx(by_hand, rel=1e-5)


def test_reconstruction_is_scored_on_the_first_images(
    vae: VAE, held: HeldOut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_out, "N_DECODED", 4)
    latents = torch.randn(12, 10, generator=generator_for(2))
    first = HeldOut(held.images[:4], held.classes[:4], 1)
    assert reconstruction_error(vae, latents, held) == reconstruction_error(vae, latents[:4], first)
    assert reconstruction_error(vae, latents, held) != reconstruction_error(
        vae, latents.flip(0), held
    )


def test_perfect_means_have_the_whole_gap(vae: VAE, held: HeldOut) -> None:
    means = torch.zeros(12, 10)
    means[:, :2] = CLASSES.float()
    scores = measure_means(vae, means, held, seed=0)
    assert scores["mig_mean"] == pytest.approx(1)
    assert scores["mig_mean_shuffled"] < 1
    assert scores["reconstruction_own"] == reconstruction_error(vae, means, held)


def test_the_control_is_the_same_score_on_shuffled_factors(vae: VAE, held: HeldOut) -> None:
    means = torch.randn(12, 10, generator=generator_for(3))
    scores = measure_means(vae, means, held, seed=7)
    others = shuffled(CLASSES, generator_for(7, "shuffle"))
    assert scores["mig_mean"] == information_scores(means, CLASSES).gap
    assert scores["mig_mean_shuffled"] == information_scores(means, others).gap
    assert set(scores) == {"mig_mean", "mig_mean_shuffled", "reconstruction_own"}


def test_pictures_worked_by_hand(vae: VAE) -> None:
    """Logit 0 is half of 255, rounded to the even 128; logit ln 3 is 3/4 of 255, so 191."""
    latents = torch.zeros(12, 10)
    assert set(pictures(grey(vae, 0.0), latents).unique().tolist()) == {128}
    assert set(pictures(grey(vae, math.log(3)), latents).unique().tolist()) == {191}


def test_pictures_show_the_first_eight(vae: VAE) -> None:
    latents = torch.randn(12, 10, generator=generator_for(2))
    shown = pictures(vae, latents)
    assert shown.shape == (8, 1, 64, 64)
    assert shown.dtype == torch.uint8
    expected = (255 * torch.sigmoid(vae.decode(latents[:8]).detach())).round()
    assert torch.equal(shown.float(), expected)
    assert len(pictures(vae, latents[:3])) == 3
