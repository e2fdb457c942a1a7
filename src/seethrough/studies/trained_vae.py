"""Trained VAE-SAEs out of the artifact store, trained on first use."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import torch
from jaxtyping import UInt8
from safetensors.torch import load_file
from torch import Tensor

from seethrough.autoencoders.activations import FrozenActivations
from seethrough.data.catalogue import SHAPES3D, load
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models.held_out import HeldOut, Representations, representations
from seethrough.models.recording import RecordedActivations
from seethrough.models.train_vae_sae import (
    STATE_FILE,
    make_optimizer,
    split_images,
    train,
    train_epoch,
)
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import VAESAE
from seethrough.store import ArtifactStore
from seethrough.studies.shapes3d_maps import use_stored_maps
from seethrough.training.checkpoint import below
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.timing import stored_seconds


@dataclass(frozen=True)
class TrainedVAE:
    """One finished training run of a VAE-SAE, read back from its folder."""

    config: TrainingConfig
    """What was trained."""
    folder: Path
    """The artifact's folder."""
    begun: Path | None
    """Folder of the squeeze that the extra epochs went on from."""
    dataset: FactorDataset
    """Where the images come from."""

    @cached_property
    def _state(self) -> dict[str, Tensor]:
        return load_file(self.folder / HISTORY_FILE)

    @cached_property
    def history(self) -> History:
        """Return the measurements by epoch."""
        state = {n: t for n, t in self._state.items() if n != "pictures/originals"}
        return History.from_state(state)

    @property
    def originals(self) -> UInt8[Tensor, "P C H W"]:
        """Return the held-out images whose reconstructions the history keeps, 0 to 255."""
        return self._state["pictures/originals"]

    @property
    def seconds(self) -> float:
        """Return how long training took, over all interruptions."""
        return stored_seconds(self.folder)

    @cached_property
    def model(self) -> VAESAE:
        """Return the model after the last epoch, on the CPU."""
        model = VAESAE(self.dataset.image_shape[0], self.config.layer, self.config.seed)
        model.load_state_dict(below(load_file(self.folder / STATE_FILE), "model/"))
        return model

    @cached_property
    def _images(self) -> tuple[Tensor, HeldOut]:
        train_images, held = split_images(self.dataset, self.config)
        return train_images.cpu(), HeldOut(held.images.cpu(), held.classes.cpu(), held.max_value)

    @property
    def heldout(self) -> HeldOut:
        """Return the held-out images with their factors, on the CPU."""
        return self._images[1]

    @cached_property
    def final(self) -> Representations:
        """Return the final model's representations of the held-out images."""
        return self._represent(self.heldout.images)

    @cached_property
    def final_training(self) -> Representations:
        """Return the final model's representations of the training images."""
        return self._represent(self._images[0])

    def _represent(self, images: Tensor) -> Representations:
        level = self.config.level(self.config.total_epochs)
        with thread_count(self.config.threads):
            return representations(self.model, images, self.heldout.max_value, level)

    def recorded(self, position: str, device: str = "cpu") -> RecordedActivations:
        """Return what a layer beside the VAE in training reads."""
        folders = [self.folder] if self.begun is None else [self.begun, self.folder]
        return RecordedActivations(folders=tuple(folders), position=position, device=device)

    def frozen(self, position: str, seed: int, device: str = "cpu") -> FrozenActivations:
        """Return what a layer beside the trained VAE reads."""
        name = "mean" if position == "latent" else "hidden"
        return FrozenActivations(
            training=getattr(self.final_training, name).to(device),
            held=getattr(self.final, name).to(device),
            seed=seed,
        )


@lru_cache(maxsize=8)  # a process checks a VAE's files once, not once for every layer beside it
def trained_vae(config: TrainingConfig, store: ArtifactStore, path: str = "") -> TrainedVAE:
    """Return a trained VAE (with its layer in the path, if it has one).

    `path` is that of the published file, read if the config says so. Extra epochs go on from the
    stored end of the squeeze.
    """
    begun = trained_vae(config.squeeze(), store, path).folder if config.extra_epochs else None
    if config.dataset.startswith(SHAPES3D) and not config.published:
        use_stored_maps(store, config.n_train + config.n_heldout)
    dataset = load(config.dataset, path if config.published else "")
    return TrainedVAE(config, store.get(config, builder(dataset, begun)), begun, dataset)


def is_stored(config: TrainingConfig, store: ArtifactStore) -> bool:
    """Return whether the store holds the run."""
    return store.holds(config, trained_vae)


def builder(dataset: FactorDataset, begun: Path | None) -> Callable[[TrainingConfig, Path], None]:
    """Return what trains on `dataset`; `begun` is the folder of the squeeze to go on from."""

    def build(config: TrainingConfig, workspace: Path) -> None:
        train(config, workspace, dataset, begun)

    return build


def images_per_second(config: TrainingConfig, dataset: FactorDataset) -> float:
    """Return the speed of the second of two short epochs on blank images."""
    images = torch.zeros(
        min(config.n_train, 2 * config.batch_size), *dataset.image_shape, dtype=torch.uint8
    ).to(config.device)
    with thread_count(config.threads):
        model = VAESAE(dataset.image_shape[0], config.layer, config.seed).to(config.device)
        optimizer = make_optimizer(model, config)
        seconds = 0.0
        for epoch in (1, 2):
            started = time.monotonic()
            record = train_epoch(model, optimizer, images, dataset.max_value, config, epoch)
            float(record.losses[-1, 0])  # wait for the device
            seconds = time.monotonic() - started
    return len(images) / seconds
