from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer
from seethrough.store import ArtifactStore
from seethrough.studies import trained_vae
from seethrough.studies import training_jobs as module
from seethrough.studies.l1_search import SearchConfig, l1_trials
from seethrough.studies.trained_layers import LayerConfig, SideLayerConfig, TrainedModels
from seethrough.studies.training_jobs import Job, train_jobs, train_layers
from seethrough.training.checkpoint import TrainingDivergedError

VAE = TrainingConfig(n_train=24, n_heldout=20, epochs=2, batch_size=16)
LONGER = replace(VAE, extra_epochs=1)
TOP_K = TopK(start=10, end=3)
IN_PATH = replace(VAE, layer=PathLayer(width=20, sparsifier=TOP_K))


def side(vae: TrainingConfig = VAE, position: str = "beside", **sae: Any) -> SideLayerConfig:
    layer = SAEConfig(
        width=20, sparsifier=TOP_K, epochs=2, extra_epochs=vae.extra_epochs, batch_size=16
    )
    return SideLayerConfig(vae=vae, position=position, sae=replace(layer, **sae))


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> TrainedModels:
    return TrainedModels(store=ArtifactStore(tmp_path_factory.mktemp("store")))


def announcements(captured: pytest.CaptureFixture[str]) -> list[str]:
    """Return what was said on stderr, progress bars apart."""
    lines = captured.readouterr().err.replace("\r", "\n").splitlines()
    return [line for line in lines if line.startswith("training ")]


def test_layers_come_in_the_order_in_which_they_were_asked_for(models: TrainedModels) -> None:
    configs: list[LayerConfig] = [side(position="latent"), IN_PATH, side(), side(position="latent")]
    layers = train_layers(configs, models)
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
    train_layers([side(), side(position="latent"), side(width=30), side(LONGER)], models)
    assert trained == [VAE, LONGER]


def test_what_there_is_to_train_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two squeezes of 2 x 24 images, one extra epoch of 24, then two side layers; then nothing."""
    models = TrainedModels(store=ArtifactStore(tmp_path))
    configs: list[LayerConfig] = [side(LONGER), IN_PATH, side(position="latent"), side(LONGER)]
    train_jobs(configs, models)
    assert announcements(capsys) == [
        "training 5 model(s), 120 images in all",
    ]
    train_jobs(configs, models)
    assert announcements(capsys) == []


def test_long_work_is_timed_by_a_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two runs of 600,000 images, at 2,500 images/s each: four minutes."""
    monkeypatch.setattr(module, "images_per_second", lambda config, dataset: 2_500.0)
    monkeypatch.setattr(module, "parallel_map", lambda *_: [])
    models = TrainedModels(store=ArtifactStore(tmp_path), workers=2)
    config = replace(VAE, n_train=12_000, epochs=50)
    train_jobs([config, replace(config, seed=1)], models)
    train_jobs([config], models)
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
        train_layers([wrong, *configs], several)
    assert announcements(capfd) == ["training 4 model(s), 48 images in all"]
    assert not several.store.holds(wrong, TrainedModels.layer)
    together, alone = train_layers(configs, several), train_layers(configs, models)
    for one, other in zip(alone, together, strict=True):
        assert one.folder != other.folder
        assert same_files(one.folder, other.folder)
        assert same_files(one.vae.folder, other.vae.folder)


def same_files(one: Path, other: Path) -> bool:
    """Compare the measurements, and the model of a side layer; the time taken may differ."""
    names = {file.name for file in one.iterdir()} & {"model.safetensors", "history.safetensors"}
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)


def test_a_search_is_done_once_its_vae_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for first, done second: any count of active units is within the tolerance."""
    layer = side(LONGER, sparsifier=L1(coefficient=0.0))
    layer = replace(layer, vae=VAE, sae=replace(layer.sae, extra_epochs=0))
    search = SearchConfig(layer=layer, position="beside", target=10.0, tolerance=20.0)
    models = TrainedModels(store=ArtifactStore(tmp_path))
    order: list[Job] = []
    do = module._do
    monkeypatch.setattr(module, "_do", lambda job, models: (order.append(job), do(job, models)))
    train_jobs([search], models)
    assert order == [VAE, search]
    assert announcements(capsys) == ["training 1 model(s), 1 search(es), 48 images in all"]
    assert models.store.holds(search, l1_trials)
    train_jobs([search], models)
    assert order == [VAE, search]


def test_longest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Side layers wait for their own VAE alone, and a longer VAE for its squeeze."""
    seen: list[tuple[list[Job], dict[Job, list[Job]]]] = []
    monkeypatch.setattr(
        module, "parallel_map", lambda _, jobs, __, after: seen.append((jobs, after))
    )
    other = replace(VAE, seed=1)
    train_jobs([side(), side(LONGER), side(other)], TrainedModels(store=ArtifactStore(tmp_path)))
    ((jobs, after),) = seen
    assert jobs == [VAE, other, LONGER, side(), side(LONGER), side(other)]
    assert [after[job] for job in jobs] == [[], [], [VAE], [VAE], [LONGER], [other]]
