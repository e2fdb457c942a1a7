import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from seethrough.autoencoders.top_k import TopK
from seethrough.data.catalogue import load
from seethrough.models import train_vae_sae
from seethrough.models.held_out import representations
from seethrough.models.train_vae_sae import split_images
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer
from seethrough.store import ArtifactStore
from seethrough.studies import trained_vae as module
from seethrough.studies.trained_vae import (
    TrainedVAE,
    images_per_second,
    is_stored,
    trained_vae,
)
from seethrough.training.checkpoint import below
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE
from seethrough.training.timing import stored_seconds

CONFIG = TrainingConfig(n_train=24, n_heldout=20, epochs=2, batch_size=16)
LONGER = replace(CONFIG, extra_epochs=1)
IN_PATH = replace(CONFIG, layer=PathLayer(width=30, sparsifier=TopK(start=20, end=3)))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def vae(store: ArtifactStore) -> TrainedVAE:
    return trained_vae(CONFIG, store)


@pytest.fixture(scope="module")
def longer(vae: TrainedVAE, store: ArtifactStore) -> TrainedVAE:
    return trained_vae(LONGER, store)


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TrainingConfig]]:
    """What is trained from here on, in order."""
    configs: list[TrainingConfig] = []
    train = module.train

    def counting(config: TrainingConfig, *rest: Any) -> None:
        configs.append(config)
        train(config, *rest)

    monkeypatch.setattr(module, "train", counting)
    yield configs
    monkeypatch.undo()


def test_a_run_is_trained_once(tmp_path: Path, trained: list[TrainingConfig]) -> None:
    store = ArtifactStore(tmp_path)
    assert not is_stored(CONFIG, store)
    first = trained_vae(CONFIG, store)
    assert is_stored(CONFIG, store)
    assert not is_stored(replace(CONFIG, seed=1), store)
    assert not is_stored(LONGER, store)
    assert trained_vae(CONFIG, store).folder == first.folder
    assert trained == [CONFIG]


def test_measurements_come_back(vae: TrainedVAE) -> None:
    assert (vae.history.n_heldout, vae.history.epochs) == (20, 2)
    assert "pictures/originals" not in vae.history.tensors
    assert torch.equal(vae.originals, 255 * vae.heldout.images[:8])
    assert vae.seconds == stored_seconds(vae.folder)
    assert vae.seconds == json.loads((vae.folder / "timing.json").read_text())["seconds"] > 0


def test_the_model_is_the_one_after_the_last_epoch(vae: TrainedVAE) -> None:
    """Run again over the held-out images it gives, bit by bit, what was recorded after training."""
    source = vae.recorded("latent")
    assert torch.equal(vae.final.mean, source.heldout(2))
    assert torch.equal(vae.final.hidden.half().float(), vae.recorded("beside").heldout(2))
    stored = below(load_file(vae.folder / "state.safetensors"), "model/")
    assert all(torch.equal(stored[n], t) for n, t in vae.model.state_dict().items())


def test_training_images_are_represented_in_their_order(vae: TrainedVAE) -> None:
    images, held = split_images(load("dsprites"), CONFIG)
    with thread_count(1):
        expected = representations(vae.model, images, 1, 0.0)
    assert torch.equal(vae.final_training.hidden, expected.hidden)
    assert torch.equal(vae.heldout.images, held.images)
    assert torch.equal(vae.heldout.classes, held.classes)


@pytest.mark.parametrize(("position", "name"), [("beside", "hidden"), ("latent", "mean")])
def test_a_frozen_vae_is_a_source_too(vae: TrainedVAE, position: str, name: str) -> None:
    source = vae.frozen(position, seed=5)
    assert torch.equal(source.training, getattr(vae.final_training, name))
    assert torch.equal(source.heldout(1), getattr(vae.final, name))
    assert source.seed == 5


def test_extra_epochs_go_on_from_the_stored_squeeze(
    vae: TrainedVAE, store: ArtifactStore, trained: list[TrainingConfig]
) -> None:
    run = trained_vae(replace(LONGER, extra_epochs=2), store)
    assert trained == [replace(LONGER, extra_epochs=2)]
    assert run.begun == vae.folder
    assert run.history.epochs == 4
    for name, numbers in vae.history.scalars.items():
        assert repr(run.history.scalars[name][:2]) == repr(numbers)  # NaN where not scored


def test_a_missing_squeeze_is_trained_first(tmp_path: Path, trained: list[TrainingConfig]) -> None:
    store = ArtifactStore(tmp_path)
    trained_vae(LONGER, store)
    assert trained == [CONFIG, LONGER]
    assert is_stored(CONFIG, store)


def test_a_longer_run_reads_the_record_of_both(vae: TrainedVAE, longer: TrainedVAE) -> None:
    source = longer.recorded("latent")
    for epoch in (1, 2):
        assert torch.equal(source.train(epoch), vae.recorded("latent").train(epoch))
    assert torch.equal(source.heldout(3), longer.final.mean)
    assert not torch.equal(longer.final.mean, vae.final.mean)
    with pytest.raises(ValueError, match="epoch is 3"):
        vae.recorded("latent").train(3)


def test_a_layer_in_the_path_is_part_of_the_run(store: ArtifactStore) -> None:
    run = trained_vae(IN_PATH, store)
    layer = run.final.layer
    assert layer is not None
    assert torch.equal(run.history.activity(-1).fired_count, (layer.code > 0).sum(0))
    assert torch.equal(run.history.activity(-1).relu_count, (layer.relu_code > 0).sum(0))
    assert int((layer.code > 0).sum(1).max()) <= 3


def test_an_interrupted_run_is_finished_in_the_store(
    vae: TrainedVAE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, save = ArtifactStore(tmp_path), train_vae_sae.save_checkpoint

    def save_then_stop(*arguments: Any) -> None:
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(train_vae_sae, "save_checkpoint", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        trained_vae(CONFIG, store)
    assert not is_stored(CONFIG, store)
    monkeypatch.undo()
    again = trained_vae(CONFIG, store)
    files = [HISTORY_FILE, *(f"recording/epoch_000{epoch}.safetensors" for epoch in (1, 2))]
    for name in files:
        assert (again.folder / name).read_bytes() == (vae.folder / name).read_bytes()
    assert {file.name for file in again.folder.iterdir()} == {
        "history.safetensors", "manifest.json", "recording", "state.safetensors", "timing.json"
    }  # fmt: skip


@pytest.mark.parametrize(("published", "read"), [(False, ""), (True, "/published.npz")])
def test_the_published_file_is_read_where_the_configuration_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, published: bool, read: str
) -> None:
    asked: list[tuple[str, str]] = []

    def remember(name: str, path: str) -> object:
        asked.append((name, path))
        return load(name)

    monkeypatch.setattr(module, "load", remember)
    trained_vae(
        replace(CONFIG, n_train=16, epochs=1, published=published),
        ArtifactStore(tmp_path),
        "/published.npz",
    )
    assert asked == [("dsprites", read)]


def test_an_unknown_data_set_is_refused_before_training(
    tmp_path: Path, trained: list[TrainingConfig]
) -> None:
    with pytest.raises(ValueError, match="data set 'circles' is unknown"):
        trained_vae(replace(CONFIG, dataset="circles"), ArtifactStore(tmp_path))
    assert trained == []


@pytest.mark.parametrize("config", [CONFIG, IN_PATH])
def test_speed_is_that_of_the_second_epoch(
    config: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that shows 0, 9, 9 and 13: the second epoch took 4 seconds for 24 images."""
    times = iter((0.0, 9.0, 9.0, 13.0))
    monkeypatch.setattr(module.time, "monotonic", lambda: next(times))
    before = torch.random.get_rng_state()
    assert images_per_second(config, load("dsprites")) == 24 / 4
    assert torch.equal(torch.random.get_rng_state(), before)
