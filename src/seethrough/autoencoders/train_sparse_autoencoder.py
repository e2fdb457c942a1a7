"""Train a sparse autoencoder on a source of activations: resumable and deterministic.

Loss: fraction of variance unexplained + the sparsifier's penalty + what a method that revives
units adds. An epoch takes the source's inputs in the source's order; a start or a preparation that
depends on the inputs sees those of the first epoch. A run that was killed starts again after its
last checkpoint and ends with the same bytes as one that was not.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from seethrough.autoencoders.activations import ActivationSource
from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.jump_relu import JumpReLU, JumpReLUModule
from seethrough.autoencoders.measure import heldout_output, is_scored, measure_units
from seethrough.autoencoders.no_revival import NoRevival
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.silence import SilenceCounter
from seethrough.autoencoders.sparse_autoencoder import SparseOutput
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

MODEL_FILE = "model.safetensors"
EPOCHS_BETWEEN_CHECKPOINTS = 10

Score = Callable[[SparseOutput, int], tuple[dict[str, float], dict[str, Tensor]]]
"""From held-out codes and the epoch to further scalars and tensors of the history."""


def create(config: SAEConfig, d_input: int) -> PreparedAutoencoder:
    """Return the untrained autoencoder of `config`, on the CPU, ready to be measured.

    What depends on the inputs is left to `begin`.
    """
    generator = generator_for(config.seed, "sae", config.width)
    return PreparedAutoencoder(
        d_input,
        config.width,
        config.sparsifier.module(config.width),
        generator,
        input_map=config.preparation.input_map(d_input),
        encoder=config.encoder,
        silence=None if isinstance(config.revival, NoRevival) else SilenceCounter(config.width),
    ).eval()


@torch.no_grad()
def begin(config: SAEConfig, sae: PreparedAutoencoder, inputs: Float[Tensor, "N D"]) -> None:
    """Set what preparation, start and sparsifier take from the training inputs; all on the CPU."""
    config.preparation.begin(sae.input_map, sae.b_pre, inputs)
    generator = generator_for(config.seed, "start", config.width)
    config.start.begin(sae, sae.input_map(inputs), generator)
    if isinstance(sae.sparsifier, JumpReLUModule):
        sae.sparsifier.begin(sae.relu_code(inputs))


def make_optimizer(config: SAEConfig, sae: PreparedAutoencoder) -> torch.optim.Adam:
    """Return the fused Adam optimiser (betas 0.9 and 0.999); thresholds have their own step."""
    if not isinstance(config.sparsifier, JumpReLU):
        return torch.optim.Adam(sae.parameters(), lr=config.learning_rate, fused=True)
    # the sparsifier's parameters come last in sae.parameters(), as checkpoints want them
    thresholds = list(sae.sparsifier.parameters())
    weights = list(sae.parameters())[: -len(thresholds)]
    speed = config.sparsifier.threshold_speed * config.learning_rate
    groups: list[dict[str, Any]] = [{"params": weights}, {"params": thresholds, "lr": speed}]
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)


def train_epoch(
    sae: PreparedAutoencoder,
    optimizer: torch.optim.Optimizer,
    inputs: Float[Tensor, "N D"],
    config: SAEConfig,
    epoch: int,
) -> Float[Tensor, " n_batches"]:
    """Take one pass over the inputs in their order; return every batch's loss, on the device."""
    sae.train()
    losses = []
    for batch in inputs.split(config.batch_size):  # type: ignore[no-untyped-call]
        loss = _loss(sae, batch, config, epoch, _steps(inputs, config))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
    sae.eval()
    return torch.stack(losses)


def _loss(
    sae: PreparedAutoencoder,
    batch: Float[Tensor, "B D"],
    config: SAEConfig,
    epoch: int,
    steps_per_epoch: int,
) -> Float[Tensor, ""]:
    """Return a batch's loss; counts the batch for units that are silent."""
    level = config.level(epoch)
    output: SparseOutput = sae(batch, level)
    loss = output.unexplained() + _penalty(sae, output, config, level)
    if sae.silence is None:
        return loss
    sae.silence.observe(output.code)
    if isinstance(config.revival, AuxK | GhostGradients):
        dead = sae.silence.dead(config.revival.patience(steps_per_epoch, config.epochs))
        loss = loss + config.revival.loss(sae, output, dead)
    return loss


def _penalty(
    sae: PreparedAutoencoder, output: SparseOutput, config: SAEConfig, level: float
) -> Float[Tensor, ""]:
    if isinstance(config.sparsifier, JumpReLU):
        assert isinstance(sae.sparsifier, JumpReLUModule)
        return sae.sparsifier.penalty(output.relu_code, level)
    return config.sparsifier.penalty(output.code, sae.W_dec, level)


def _revive(
    sae: PreparedAutoencoder,
    optimizer: torch.optim.Optimizer,
    inputs: Float[Tensor, "N D"],
    config: SAEConfig,
    epoch: int,
) -> None:
    """Resample dead units if the configuration says so and the epoch is one of its times."""
    revival = config.revival
    if not isinstance(revival, Resampling) or not revival.is_due(epoch, config.epochs):
        return
    assert sae.silence is not None
    dead = sae.silence.dead(revival.patience(_steps(inputs, config), config.epochs))
    generator = generator_for(config.seed, "resample", epoch)
    revival.resample(sae, optimizer, inputs, config.level(epoch), dead, generator)


def _steps(inputs: Float[Tensor, "N D"], config: SAEConfig) -> int:
    return math.ceil(len(inputs) / config.batch_size)


def train_sparse_autoencoder(
    config: SAEConfig, source: ActivationSource, workspace: Path, score: Score, label: str = "SAE"
) -> None:
    """Train by `config` and write model, history and timing into `workspace`, resuming if begun.

    `score` is called after the epochs of `is_scored` (after the last alone if `config.scored` is
    false); its scalars are NaN in all other epochs. Checkpoints live in `workspace/checkpoint`.
    Raises TrainingDivergedError if a loss, or a parameter after an epoch, is not finite; the last
    checkpoint then stays.
    """
    started = time.monotonic()
    keep_freed_memory()
    with thread_count(config.threads):
        checkpoint = workspace / "checkpoint" / "state.safetensors"
        sae = create(config, source.d_input)
        if not checkpoint.exists():
            begin(config, sae, source.train(1).cpu())
        sae.to(config.device)
        optimizer = make_optimizer(config, sae)
        history = History(len(source.heldout(1)))
        first = 1
        if checkpoint.exists():
            first, seconds, history = load_checkpoint(checkpoint, sae, optimizer)
            started -= seconds
        kept = first - 1
        epochs = range(first, config.total_epochs + 1)
        for epoch in tqdm(epochs, desc=label, unit="epoch", file=sys.stderr, disable=None):
            inputs = source.train(epoch)
            losses = train_epoch(sae, optimizer, inputs, config, epoch)
            output = heldout_output(sae, inputs[: config.batch_size], config.level(epoch))
            after = [*sae.parameters(), output.unexplained()]
            check_finite(losses, after, epoch, config.learning_rate, kept)
            _revive(sae, optimizer, inputs, config, epoch)
            _measure(sae, history, source, score, config, epoch)
            if epoch % EPOCHS_BETWEEN_CHECKPOINTS == 0:
                seconds = time.monotonic() - started
                save_checkpoint(checkpoint, sae, optimizer, history, epoch, seconds)
                kept = epoch
    save_file(contiguous(sae.state_dict()), workspace / MODEL_FILE)
    save_file(contiguous(history.state()), workspace / HISTORY_FILE)
    write_seconds(workspace, started)


def _measure(
    sae: PreparedAutoencoder,
    history: History,
    source: ActivationSource,
    score: Score,
    config: SAEConfig,
    epoch: int,
) -> None:
    level = config.level(epoch)
    output = heldout_output(sae, source.heldout(epoch), level)
    scalars, tensors = measure_units(output)
    last = epoch == config.total_epochs
    if last or (config.scored and is_scored(epoch, config.epochs, config.total_epochs)):
        scores, pictures = score(output, epoch)
        history.append({"level": level} | scalars | scores, tensors | pictures)
    else:
        history.append({"level": level} | scalars, tensors)
