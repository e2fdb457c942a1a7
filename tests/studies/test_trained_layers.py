from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.sparse_autoencoder import SparseOutput
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import MODEL_FILE, train_sparse_autoencoder
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer
from seethrough.store import ArtifactStore
from seethrough.studies import trained_layers as module
from seethrough.studies.trained_layers import (
    LayerConfig,
    Scorer,
    SideLayerConfig,
    TrainedModels,
)
from seethrough.studies.trained_vae import TrainedVAE
from seethrough.training.initialise import generator_for

VAE = TrainingConfig(n_train=24, n_heldout=20, epochs=2, batch_size=16)
LONGER = replace(VAE, extra_epochs=1)
TOP_K = TopK(start=10, end=3)
IN_PATH = replace(VAE, layer=PathLayer(width=20, sparsifier=TOP_K))


def side(vae: TrainingConfig = VAE, position: str = "beside", **sae: Any) -> SideLayerConfig:
    layer = SAEConfig(
        width=20, sparsifier=TOP_K, epochs=2, extra_epochs=vae.extra_epochs, batch_size=16
    )
    return SideLayerConfig(vae=vae, position=position, sae=replace(layer, **sae))


def frozen(position: str = "beside", **sae: Any) -> SideLayerConfig:
    plain = side(position=position)
    return replace(plain, frozen=True, sae=replace(plain.sae, **sae))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TrainedModels:
    return TrainedModels(store=ArtifactStore(tmp_path_factory.mktemp("store")))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"position": "in_path"}, "position is 'in_path', allowed are beside, latent"),
        ({"position": "under", "frozen": True}, "position is 'under', allowed are beside, latent"),
        ({"vae": IN_PATH}, "vae has PathLayer.* in its path, allowed is a VAE without one"),
        ({"vae": LONGER}, "extra_epochs of the layer is 0, allowed is its VAE's, 1"),
        ({"vae": replace(VAE, epochs=3)}, "epochs of the layer is 2, allowed is its VAE's, 3"),
        ({"vae": replace(VAE, batch_size=8)}, "batch_size of the layer is 16, .* its VAE's, 8"),
        ({"vae": IN_PATH, "frozen": True}, "vae has PathLayer"),
    ],
)
def test_wrong_values_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        replace(side(), **change)


def test_a_frozen_vae_leaves_the_layer_its_own_epochs() -> None:
    assert frozen(epochs=7, batch_size=5).sae.epochs == 7


@pytest.mark.parametrize(
    "config", [side(), side(position="latent"), side(sparsifier=L1(coefficient=0.1)), side(LONGER)]
)
def test_a_side_layer_is_trained_on_the_record(
    models: TrainedModels, config: SideLayerConfig, tmp_path: Path
) -> None:
    layer = models.layer(config)
    source = models.vae(config.vae).recorded(config.position)
    train_sparse_autoencoder(config.sae, source, tmp_path, lambda output, epoch: ({}, {}))
    assert (layer.folder / MODEL_FILE).read_bytes() == (tmp_path / MODEL_FILE).read_bytes()


@pytest.mark.parametrize("position", ["beside", "latent"])
def test_a_layer_beside_a_trained_vae_reads_its_final_state(
    models: TrainedModels, position: str, tmp_path: Path
) -> None:
    config = frozen(position, epochs=3, seed=4)
    source = models.vae(VAE).frozen(position, seed=4)
    train_sparse_autoencoder(config.sae, source, tmp_path, lambda output, epoch: ({}, {}))
    layer = models.layer(config)
    assert (layer.folder / MODEL_FILE).read_bytes() == (tmp_path / MODEL_FILE).read_bytes()
    assert torch.equal(layer.output.inputs, source.held)


@pytest.mark.parametrize(
    "config", [side(), side(position="latent"), side(LONGER), frozen(epochs=3), IN_PATH]
)
def test_a_layer_comes_back_as_it_was_measured_last(
    models: TrainedModels, config: LayerConfig
) -> None:
    layer = models.layer(config)
    code = layer.output.code
    last = layer.history.activity(-1)
    assert torch.equal(last.fired_count, (code > 0).sum(0))
    assert torch.equal(last.relu_count, (layer.output.relu_code > 0).sum(0))
    assert torch.equal(last.max_activation, code.amax(0))
    assert layer.history.scalars["active"][-1] == float((code > 0).sum(1).double().mean())
    assert layer.level == layer.history.scalars["level"][-1] == 3
    assert layer.sae.W_enc.shape[0] == 20
    assert layer.seconds > 0


def test_a_layer_in_the_path_is_its_vae(models: TrainedModels) -> None:
    layer, vae = models.layer(IN_PATH), models.vae(IN_PATH)
    assert layer.config is None
    assert layer.folder == vae.folder == layer.vae.folder
    assert vae.model.sae is not None
    assert torch.equal(layer.sae.W_enc, vae.model.sae.W_enc)


@pytest.mark.parametrize("position", ["beside", "latent"])
def test_a_perfect_code_reconstructs_as_the_vae_does(models: TrainedModels, position: str) -> None:
    """What the VAE itself passes on, taken for a layer's reconstruction, costs the same."""
    vae = models.vae(VAE)
    scorer = Scorer(vae, side(position=position))
    for epoch in (1, 2):
        inputs = vae.recorded(position).heldout(epoch)
        code = torch.rand(20, 6, generator=generator_for(0))
        scalars, tensors = scorer(SparseOutput(inputs, code, code, inputs), epoch)
        own = vae.history.scalars["reconstruction_own"][epoch - 1]
        assert scalars["reconstruction"] == pytest.approx(own, rel=1e-4)
        own_pictures = vae.history.tensors["pictures/own"][epoch - 1].int()
        assert int((tensors["pictures/code"].int() - own_pictures).abs().max()) <= 1


def test_a_frozen_layer_is_scored_by_the_final_vae(models: TrainedModels) -> None:
    vae = models.vae(VAE)
    scorer = Scorer(vae, frozen("latent"))
    code = torch.rand(20, 6, generator=generator_for(0))
    scalars, _ = scorer(SparseOutput(vae.final.mean, code, code, vae.final.mean), 1)
    assert scalars["reconstruction"] == vae.history.scalars["reconstruction_own"][-1]


def test_the_layers_history_holds_its_scores(models: TrainedModels) -> None:
    layer = models.layer(side())
    scores, _ = Scorer(layer.vae, side())(layer.output, 2)
    assert {name: layer.history.scalars[name][-1] for name in scores} == scores
    assert "mig_code" in scores


@pytest.mark.parametrize(
    ("dataset", "path"),
    [
        ("dsprites", "d.npz"),
        ("dsprites_hued", "d.npz"),
        ("shapes3d", "s.h5"),
        ("shapes3d_grey", "s.h5"),
    ],
)
def test_each_family_has_its_published_file(
    models: TrainedModels, monkeypatch: pytest.MonkeyPatch, dataset: str, path: str
) -> None:
    asked: list[str] = []
    vae = models.vae(VAE)

    def remember(config: TrainingConfig, store: ArtifactStore, path: str) -> TrainedVAE:
        asked.append(path)
        return vae

    monkeypatch.setattr(module, "trained_vae", remember)
    replace(models, dsprites_path="d.npz", shapes3d_path="s.h5").vae(replace(VAE, dataset=dataset))
    assert asked == [path]
