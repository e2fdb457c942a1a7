"""Train a VAE-SAE: resumable, deterministic, with nothing in the loop but the step itself.

Images stay on the device as bytes; one epoch is one permutation, drawn from the seed and the
epoch's number, so an epoch's randomness does not depend on how the run got there. After every
epoch the whole state is written to one file and renamed into place. A run that was killed starts
again after its last finished epoch and ends with the same bytes as one that was not. Epochs after
the squeeze go on from the stored end of the squeeze.
"""

import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from seethrough.autoencoders.measure import is_scored, measure_information, measure_units
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models.held_out import (
    N_PICTURES,
    HeldOut,
    Representations,
    measure_means,
    pictures,
    pixels,
    reconstruction_error,
    representations,
)
from seethrough.models.recording import FOLDER, epoch_file, record_epoch
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import N_LATENTS
from seethrough.models.vae_sae import VAESAE
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.checkpoint import (
    check_finite,
    contiguous,
    load_checkpoint,
    save_checkpoint,
)
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.initialise import generator_for
from seethrough.training.timing import write_seconds

STATE_FILE = "state.safetensors"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """What one pass over the training images left behind."""

    losses: Float[Tensor, "n_batches 4"]
    """Per batch: total loss, reconstruction, KL divergence, the sparsifier's penalty."""
    hidden: Float[Tensor, "n_train 256"]
    """Hidden layer of every image, in the order of training, before its batch's step."""
    mean: Float[Tensor, "n_train 10"]
    """Latent mean likewise."""


def split_images(
    dataset: FactorDataset, config: TrainingConfig
) -> tuple[UInt8[Tensor, "N C H W"], HeldOut]:
    """Return training images and held-out images, drawn without replacement from the seed.

    Raises ValueError if the data set is smaller than both together.
    """
    wanted = config.n_train + config.n_heldout
    if wanted > len(dataset):
        raise ValueError(
            f"n_train + n_heldout is {wanted}, allowed is at most {len(dataset)} ({dataset.name})"
        )
    order = torch.randperm(len(dataset), generator=generator_for(config.seed, "images"))
    train, heldout = order[: config.n_train], order[config.n_train : wanted]
    return dataset.images(train).to(config.device), HeldOut(
        dataset.images(heldout).to(config.device),
        dataset.classes(heldout).to(config.device),
        dataset.max_value,
    )


def make_optimizer(model: VAESAE, config: TrainingConfig) -> torch.optim.Adam:
    """Return the fused Adam optimiser over all parameters (betas 0.9 and 0.999)."""
    return torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)


def precision_of(config: TrainingConfig) -> torch.autocast:
    """Return the context in which the convolutions have the run's precision."""
    kind = torch.device(config.device).type
    return torch.autocast(kind, torch.bfloat16, enabled=config.precision == "bfloat16")


def train_epoch(
    model: VAESAE,
    optimizer: torch.optim.Optimizer,
    images: UInt8[Tensor, "N C H W"],
    max_value: int,
    config: TrainingConfig,
    epoch: int,
) -> EpochRecord:
    """Take one pass over the images. Losses stay on the device: the loop never waits for them."""
    generator = generator_for(config.seed, "epoch", epoch, device=config.device)
    order = torch.randperm(len(images), generator=generator, device=images.device)
    level, losses, hidden, means = config.level(epoch), [], [], []
    for batch in order.split(config.batch_size):  # type: ignore[no-untyped-call]
        noise = torch.randn(len(batch), N_LATENTS, generator=generator, device=images.device)
        with precision_of(config):
            parts = model.losses(pixels(images[batch], max_value), level, noise)
        loss = parts.elbo.loss(config.beta) + parts.penalty
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        elbo = parts.elbo
        losses.append(
            torch.stack([loss, elbo.reconstruction, elbo.divergence, parts.penalty]).detach()
        )
        hidden.append(parts.encoding.hidden.detach())
        means.append(parts.encoding.mean.detach())
    return EpochRecord(torch.stack(losses), torch.cat(hidden), torch.cat(means))


@torch.no_grad()
def first_loss(
    model: VAESAE,
    images: UInt8[Tensor, "N C H W"],
    max_value: int,
    config: TrainingConfig,
    epoch: int,
) -> Float[Tensor, ""]:
    """Return the loss of as many images as a batch has, the first ones, decoded without noise."""
    batch = pixels(images[: config.batch_size], max_value)
    with precision_of(config):
        parts = model.losses(batch, config.level(epoch), batch.new_zeros(len(batch), N_LATENTS))
    return parts.elbo.loss(config.beta) + parts.penalty


def train(
    config: TrainingConfig, workspace: Path, dataset: FactorDataset, begun: Path | None = None
) -> None:
    """Train by `config` and write state, history and record into `workspace`.

    A run that was interrupted goes on from `workspace/checkpoint`; one with extra epochs begins
    where the squeeze ended, whose folder is `begun`. The record is kept for a VAE without a layer
    in its path. Raises TrainingDivergedError if a loss, or a parameter after an epoch, is not
    finite; the checkpoint of the epoch before then stays.
    """
    started = time.monotonic()
    keep_freed_memory()
    images, heldout = split_images(dataset, config)
    kept = workspace / "checkpoint"
    checkpoint = kept / STATE_FILE
    with thread_count(config.threads):
        model = VAESAE(dataset.image_shape[0], config.layer, config.seed).to(config.device)
        optimizer = make_optimizer(model, config)
        history = History(len(heldout.images))
        first = 1
        if checkpoint.exists():
            first, seconds, history = load_checkpoint(checkpoint, model, optimizer)
            started -= seconds
        elif begun is not None:
            first, _, history = load_checkpoint(begun / STATE_FILE, model, optimizer)
        label = _label(config)
        with tqdm(
            total=config.total_epochs, initial=first - 1, desc=label, unit="epoch", file=sys.stderr
        ) as bar:
            for epoch in range(first, config.total_epochs + 1):
                record = train_epoch(model, optimizer, images, dataset.max_value, config, epoch)
                loss = first_loss(model, images, dataset.max_value, config, epoch)
                after = [*model.parameters(), loss]
                check_finite(record.losses[:, 0], after, epoch, config.learning_rate, epoch - 1)
                with precision_of(config):
                    held = representations(
                        model, heldout.images, heldout.max_value, config.level(epoch)
                    )
                scored = is_scored(epoch, config.epochs, config.total_epochs)
                _measure(history, model, held, heldout, record, config, epoch, scored)
                if config.layer is None:
                    snapshot = model.vae if scored else None
                    path = epoch_file(kept, epoch)
                    record_epoch(path, record.hidden, record.mean, held, snapshot)
                seconds = time.monotonic() - started
                save_checkpoint(checkpoint, model, optimizer, history, epoch, seconds)
                bar.update()
    if config.layer is None:
        shutil.copytree(kept / FOLDER, workspace / FOLDER)
    # Without the seconds that a checkpoint holds: equal runs leave equal files.
    save_checkpoint(workspace / STATE_FILE, model, optimizer, history, config.total_epochs, 0.0)
    originals = heldout.pixels(0, N_PICTURES).mul(255).round().to(torch.uint8).cpu()
    state = history.state() | {"pictures/originals": originals}
    save_file(contiguous(state), workspace / HISTORY_FILE)
    write_seconds(workspace, started)


def _measure(
    history: History,
    model: VAESAE,
    held: Representations,
    heldout: HeldOut,
    record: EpochRecord,
    config: TrainingConfig,
    epoch: int,
    scored: bool,
) -> None:
    """Add one epoch's measurements to the history."""
    mean_losses = record.losses.double().mean(0).tolist()
    scalars = {"level": config.level(epoch)}
    scalars |= dict(
        zip(("train_reconstruction", "train_divergence"), mean_losses[1:3], strict=True)
    )
    tensors: dict[str, Tensor] = {}
    if held.layer is not None:
        units, tensors = measure_units(held.layer)
        scalars |= units
    if scored:
        scalars |= measure_means(model.vae, held.mean, heldout, config.seed)
        tensors["pictures/own"] = pictures(model.vae, held.mean)
        if held.layer is not None:
            scalars |= measure_information(held.layer.code, heldout.classes, config.seed)
            scalars["reconstruction"] = reconstruction_error(model.vae, held.mean, heldout)
    history.append(scalars, tensors)


def _label(config: TrainingConfig) -> str:
    layer = config.layer
    where = "" if layer is None else f" with {layer.width} units in the path"
    return f"{config.dataset}{where}, seed {config.seed}"
