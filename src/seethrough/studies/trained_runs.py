"""Trained VAE-SAEs out of the artifact store, trained on first use."""

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import UInt8
from safetensors.torch import load_file
from torch import Tensor

from seethrough.data.dsprites import load
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models.evaluate_vae_sae import HeldOut, HeldOutCodes, heldout_codes
from seethrough.models.history import History
from seethrough.models.train_vae_sae import (
    HISTORY_FILE,
    MODEL_FILE,
    TIMING_FILE,
    make_optimizer,
    split_images,
    thread_count,
    train,
    train_epoch,
)
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import VAESAE
from seethrough.store import ArtifactStore

WORTH_A_TRIAL = 10_000
"""Images to train on above which a trial of two short epochs tells the time it will take."""


@dataclass(frozen=True)
class TrainedRun:
    """One finished training run, read back from its folder."""

    config: TrainingConfig
    """What was trained."""
    folder: Path
    """The artifact's folder."""
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
        return float(json.loads((self.folder / TIMING_FILE).read_text())["seconds"])

    @cached_property
    def model(self) -> VAESAE:
        """Return the model after the last epoch, on the CPU."""
        model = VAESAE(self.dataset.image_shape[0], self.config.branches, self.config.seed)
        model.load_state_dict(load_file(self.folder / MODEL_FILE))
        return model

    @cached_property
    def heldout(self) -> HeldOut:
        """Return the held-out images with their factors, on the CPU."""
        _, held = split_images(self.dataset, self.config)
        return HeldOut(held.images.cpu(), held.classes.cpu(), held.max_value)

    def codes(self, k: int) -> HeldOutCodes:
        """Return the final model's representations of the held-out images with k active units."""
        with thread_count(self.config.threads):
            return heldout_codes(self.model, self.heldout, k)


def trained_runs(
    configs: Sequence[TrainingConfig], store: ArtifactStore, official_path: str = ""
) -> list[TrainedRun]:
    """Return one finished run per config, training those that the store does not hold.

    `official_path` is read for the source `official` only. Training announces its length on stderr
    and survives interruption (see seethrough.models.train_vae_sae).
    """
    runs = []
    announced = False
    for config in configs:
        dataset = load(config.source, official_path or None)

        def build(
            config: TrainingConfig, workspace: Path, dataset: FactorDataset = dataset
        ) -> None:
            nonlocal announced
            if not announced:
                announce(configs, dataset)
                announced = True
            train(config, workspace, dataset)

        runs.append(TrainedRun(config, store.get(config, build), dataset))
    return runs


def announce(configs: Sequence[TrainingConfig], dataset: FactorDataset) -> None:
    """Say on stderr how much there is to train and, from a timed trial, for how long at most.

    Work that is hardly longer than the trial is announced without one.
    """
    passes = sum(config.n_train * config.epochs for config in configs)
    work = f"training {len(configs)} run(s), {passes:,} images in all"
    if passes > WORTH_A_TRIAL:
        rate = images_per_second(configs[0], dataset)
        work += f", at about {rate:,.0f} images/s: at most {passes / rate / 60:.1f} min"
    print(f"{work} (less if some runs are already stored)", file=sys.stderr)


def images_per_second(config: TrainingConfig, dataset: FactorDataset) -> float:
    """Return the speed of the second of two short epochs on blank images."""
    images = torch.zeros(
        min(config.n_train, 2 * config.batch_size), *dataset.image_shape, dtype=torch.uint8
    ).to(config.device)
    with thread_count(config.threads):
        model = VAESAE(dataset.image_shape[0], config.branches, config.seed).to(config.device)
        optimizer = make_optimizer(model, config)
        seconds = 0.0
        for epoch in (1, 2):
            started = time.monotonic()
            losses = train_epoch(model, optimizer, images, dataset.max_value, config, epoch)
            float(losses[-1, 0])  # wait for the device
            seconds = time.monotonic() - started
    return len(images) / seconds
