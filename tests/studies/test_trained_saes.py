"""Autoencoders out of the store, on a tiny model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.residual_site import ResidualSite
from seethrough.sae.sae_config import SAEConfig
from seethrough.store import ArtifactStore
from seethrough.studies import trained_saes as module
from seethrough.studies.impact_models import ModelConfig
from seethrough.studies.read_again import ReadAgain
from seethrough.studies.trained_saes import (
    StreamAutoencoder,
    StreamPool,
    trained_autoencoder,
)

MODEL = ModelConfig(
    model="tiny", weights="", data="", pruning=None, n_calibration=0, recovery=None, n_recovery=0,
    seed=0,
)  # fmt: skip
CLASS, PATCHES = ResidualSite(block=2), ResidualSite(block=2, tokens="patches")
TRAINING = SAEConfig(method=BatchTopK(k=3), expansion=2, steps=3, batch_size=4)


class Noise(LabelledImages):
    """Six random images of one class."""

    name = "noise"
    class_names = ("one",)
    image_shape = (3, 16, 16)
    labels = torch.zeros(6, dtype=torch.int64)

    def images(self, index: Tensor) -> Tensor:
        return torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0))[index]


@pytest.fixture
def pool(tiny_vit: Callable[..., Any]) -> Callable[[ResidualSite], StreamPool]:
    images = ReadAgain(Noise(), torch.arange(6), 4, "cpu")
    return lambda site: StreamPool(tiny_vit(), site, images)


def test_a_pool_has_one_vector_per_image_or_eight_patches(
    pool: Callable[[ResidualSite], StreamPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    of_class = pool(CLASS)
    assert of_class.inputs.shape == (6, 32)
    # 16 patches per image: 48 of them are all of the first three images.
    of_patches = pool(PATCHES)
    assert of_patches.vectors_per_image == 8
    assert of_patches.inputs.shape == (48, 32)
    # Read once.
    monkeypatch.setattr(module, "activation_pool", None)
    assert of_class.inputs is of_class.inputs


def test_an_autoencoder_is_trained_once_and_by_its_configuration(
    pool: Callable[[ResidualSite], StreamPool], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ArtifactStore(tmp_path)
    config = StreamAutoencoder(model=MODEL, site=CLASS, n_pool=6, training=TRAINING)
    first = trained_autoencoder(config, pool(CLASS), store)
    assert (first.sae.width, first.sae.training) == (64, False)
    assert first.seconds > 0
    monkeypatch.setattr(module, "train_sae", None)
    unread = pool(CLASS)
    again = trained_autoencoder(config, unread, store)
    assert "inputs" not in vars(unread), "the pool was not needed"
    for name, tensor in first.sae.state_dict().items():
        assert torch.equal(again.sae.state_dict()[name], tensor)
    assert len(store.entries()) == 1
