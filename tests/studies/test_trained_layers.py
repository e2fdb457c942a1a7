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
from seethrough.studies import trained_vae
from seethrough.studies.trained_layers import (
    LayerConfig,
    Scorer,
    SideLayerConfig,
    TrainedModels,
)
from seethrough.studies.trained_vae import TrainedVAE
from seethrough.training.checkpoint import TrainingDivergedError
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


def announcements(captured: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was said on stderr, progress bars apart."""
    lines = captured.readouterr().err.replace("\r", "\n").splitlines()
    return [line for line in lines if line.startswith("training ")]


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


def test_layers_come_in_the_order_in_which_they_were_asked_for(models: TrainedModels) -> None:
    configs: list[LayerConfig] = [side(position="latent"), IN_PATH, side(), side(position="latent")]
    layers = models.layers(configs)
    assert [layer.config for layer in layers] == [configs[0], None, configs[2], configs[3]]
    assert layers[0].folder == layers[3].folder


def test_a_shared_vae_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[TrainingConfig] = []
    train = trained_vae.train

    def counting(config: TrainingConfig, *rest: Any) -> None:
        trained.append(config)
        train(config, *rest)

    monkeypatch.setattr(trained_vae, "train", counting)
    models = TrainedModels(store=ArtifactStore(tmp_path))
    models.layers([side(), side(position="latent"), side(width=30), side(LONGER)])
    assert trained == [VAE, LONGER]


def test_each_phase_says_what_there_is_to_train(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two squeezes of 2 x 24 images, one extra epoch of 24, then two side layers; then nothing."""
    models = TrainedModels(store=ArtifactStore(tmp_path))
    configs: list[LayerConfig] = [side(LONGER), IN_PATH, side(position="latent"), side(LONGER)]
    models.prepare(configs)
    assert announcements(capsys) == [
        "training 2 model(s), 96 images in all",
        "training 1 model(s), 24 images in all",
        "training 2 model(s)",
    ]
    models.prepare(configs)
    assert announcements(capsys) == []


def test_long_work_is_timed_by_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of 600,000 images, at 2,500 images/s each: four minutes."""
    monkeypatch.setattr(module, "images_per_second", lambda config, dataset: 2_500.0)
    monkeypatch.setattr(module, "parallel_map", lambda function, items, workers: [])
    models = TrainedModels(store=ArtifactStore(tmp_path), workers=2)
    config = replace(VAE, n_train=12_000, epochs=50)
    models.prepare([config, replace(config, seed=1)])
    models.prepare([config])
    assert announcements(capsys) == [
        "training 2 model(s), 1,200,000 images in all, at about 5,000 images/s: about 4.0 min",
        "training 1 model(s), 600,000 images in all, at about 2,500 images/s: about 4.0 min",
    ]
    assert models.store.entries() == []


def test_several_processes_give_the_same_bytes(
    models: TrainedModels, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The VAE is trained first, then three layers that share it, two at once.

    One of them fails: it is heard of here, and the others are finished all the same.
    """
    several = TrainedModels(store=ArtifactStore(tmp_path), workers=2)
    wrong, configs = side(learning_rate=1e30), [side(), side(position="latent")]
    named = r"^the loss is (nan|inf) in epoch 1, batch 2 of 2, at learning rate 1e\+30: lower it"
    with pytest.raises(TrainingDivergedError, match=named):
        several.layers([wrong, *configs])
    assert announcements(capfd) == ["training 1 model(s), 48 images in all", "training 3 model(s)"]
    assert not several.store.holds(wrong, TrainedModels.layer)
    together, alone = several.layers(configs), models.layers(configs)
    for one, other in zip(alone, together, strict=True):
        assert one.folder != other.folder
        assert same_files(one.folder, other.folder)
        assert same_files(one.vae.folder, other.vae.folder)


def same_files(one: Path, other: Path) -> bool:
    """Compare the measurements, and the model of a side layer; the time taken may differ."""
    names = {file.name for file in one.iterdir()} & {"model.safetensors", "history.safetensors"}
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


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
