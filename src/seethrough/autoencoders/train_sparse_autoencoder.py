"""Train a sparse autoencoder on a source of activations: resumable and deterministic.

Loss: fraction of variance unexplained + the sparsifier's penalty. An epoch takes the source's
inputs in the source's order. A run that was killed starts again after its last checkpoint and ends
with the same bytes as one that was not.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from seethrough.autoencoders.activations import ActivationSource
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.measure import heldout_output, is_scored, measure_units
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, SparseOutput
from seethrough.checked_json import pretty_json, write_atomically
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.checkpoint import (
    check_finite,
    contiguous,
    load_checkpoint,
    save_checkpoint,
)
from seethrough.training.device import thread_count
from seethrough.training.history import History
from seethrough.training.initialise import generator_for

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "history.safetensors"
TIMING_FILE = "timing.json"
EPOCHS_BETWEEN_CHECKPOINTS = 10

Score = Callable[[SparseOutput, int], tuple[dict[str, float], dict[str, Tensor]]]
"""From held-out codes and the epoch to further scalars and tensors of the history."""


def create(config: SAEConfig, d_input: int) -> SparseAutoencoder:
    """Return the untrained autoencoder of `config`, on the CPU."""
    generator = generator_for(config.seed, "sae", config.width)
    sparsifier = config.sparsifier.module(config.width)
    return SparseAutoencoder(d_input, config.width, sparsifier, generator)


def train_epoch(
    sae: SparseAutoencoder,
    optimizer: torch.optim.Optimizer,
    inputs: Float[Tensor, "N D"],
    config: SAEConfig,
    epoch: int,
) -> Float[Tensor, " n_batches"]:
    """Take one pass over the inputs in their order; return every batch's loss, on the device."""
    level, losses = config.level(epoch), []
    for batch in inputs.split(config.batch_size):
        output = sae(batch, level)
        penalty = config.sparsifier.penalty(output.code, sae.W_dec, level)
        loss = output.unexplained() + penalty
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses)


def train_sparse_autoencoder(
    config: SAEConfig, source: ActivationSource, workspace: Path, score: Score, label: str = "SAE"
) -> None:
    """Train by `config` and write model, history and timing into `workspace`, resuming if begun.

    `score` is called after the epochs of `is_scored` (after the last alone if `config.scored` is
    false); its scalars are NaN in all other epochs. Checkpoints live in `workspace/checkpoint`.
    Raises TrainingDivergedError if a loss is not finite; the last checkpoint then stays.
    """
    started = time.monotonic()
    keep_freed_memory()
    with thread_count(config.threads):
        sae = create(config, source.d_input).to(config.device)
        optimizer = torch.optim.Adam(sae.parameters(), lr=config.learning_rate, fused=True)
        history = History(len(source.heldout(1)))
        checkpoint = workspace / "checkpoint" / "state.safetensors"
        first = 1
        if checkpoint.exists():
            first, seconds, history = load_checkpoint(checkpoint, sae, optimizer)
            started -= seconds
        kept = first - 1
        epochs = range(first, config.total_epochs + 1)
        for epoch in tqdm(epochs, desc=label, unit="epoch", file=sys.stderr, disable=None):
            losses = train_epoch(sae, optimizer, source.train(epoch), config, epoch)
            check_finite(losses, epoch, config.learning_rate, kept)
            _measure(sae, history, source, score, config, epoch)
            if epoch % EPOCHS_BETWEEN_CHECKPOINTS == 0:
                seconds = time.monotonic() - started
                save_checkpoint(checkpoint, sae, optimizer, history, epoch, seconds)
                kept = epoch
    save_file(contiguous(sae.state_dict()), workspace / MODEL_FILE)
    save_file(contiguous(history.state()), workspace / HISTORY_FILE)
    timing = {"seconds": round(time.monotonic() - started, 3)}
    write_atomically(workspace / TIMING_FILE, pretty_json(timing))


def _measure(
    sae: SparseAutoencoder,
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
