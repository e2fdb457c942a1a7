"""Train a VAE-SAE: resumable, deterministic, with nothing in the loop but the step itself.

Images stay on the device as bytes; one epoch is one permutation, drawn from the seed and the
epoch's number, so an epoch's randomness does not depend on how the run got there. After every
epoch the whole state is written to one file and renamed into place. A run that was killed starts
again after its last finished epoch and ends with the same bytes as one that was not.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from jaxtyping import Float, UInt8
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from seethrough.data.factor_dataset import FactorDataset
from seethrough.metrics.dead_units import never_active
from seethrough.models.allocator import keep_freed_memory
from seethrough.models.evaluate_vae_sae import N_PICTURES, HeldOut, evaluate
from seethrough.models.history import History
from seethrough.models.initialise import generator_for
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import N_LATENTS
from seethrough.models.vae_sae import VAESAE

MODEL_FILE = "model.safetensors"
HISTORY_FILE = "history.safetensors"
TIMING_FILE = "timing.json"


class TrainingDivergedError(RuntimeError):
    """The loss became NaN or infinite; the message names epoch, batch and learning rate."""


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


def train_epoch(
    model: VAESAE,
    optimizer: torch.optim.Optimizer,
    images: UInt8[Tensor, "N C H W"],
    max_value: int,
    config: TrainingConfig,
    epoch: int,
) -> Float[Tensor, "n_batches n_losses"]:
    """Take one pass over the images; return every batch's loss, ELBO parts and branch losses.

    Columns: total loss, reconstruction, KL divergence, then one unexplained variance per branch.
    The losses stay on the device: the loop never waits for them.
    """
    generator = generator_for(config.seed, "epoch", epoch, device=config.device)
    order = torch.randperm(len(images), generator=generator, device=images.device)
    k, rows = config.k_at(epoch), []
    for batch in torch.split(order, config.batch_size):
        pixels = images[batch].float().div_(max_value)
        noise = torch.randn(len(batch), N_LATENTS, generator=generator, device=images.device)
        elbo, unexplained = model.losses(pixels, k, noise)
        loss = elbo.loss(config.beta) + config.sae_weight * unexplained.sum()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        parts = torch.stack([loss, elbo.reconstruction, elbo.divergence])
        rows.append(torch.cat([parts, unexplained]).detach())
    return torch.stack(rows)


def train(config: TrainingConfig, workspace: Path, dataset: FactorDataset) -> None:
    """Train by `config` and write model and history into `workspace`, resuming if it was begun.

    Checkpoints live in `workspace/checkpoint`. Raises TrainingDivergedError if a loss is not
    finite; the checkpoint of the epoch before then stays.
    """
    started = time.monotonic()
    keep_freed_memory()
    images, heldout = split_images(dataset, config)
    with thread_count(config.threads):
        model = VAESAE(dataset.image_shape[0], config.branches, config.seed).to(config.device)
        optimizer = make_optimizer(model, config)
        history = History(len(heldout.images))
        checkpoint = workspace / "checkpoint" / "state.safetensors"
        first = 1
        if checkpoint.exists():
            first, seconds, history = load_checkpoint(checkpoint, model, optimizer)
            started -= seconds
        label = f"{', '.join(branch.name for branch in config.branches)} seed {config.seed}"
        bar = tqdm(
            total=config.epochs, initial=first - 1, desc=label, unit="epoch", file=sys.stderr
        )
        with bar:
            for epoch in range(first, config.epochs + 1):
                losses = train_epoch(model, optimizer, images, dataset.max_value, config, epoch)
                _check_finite(losses[:, 0], epoch, config)
                scalars, tensors = evaluate(model, heldout, config.k_at(epoch), config.seed)
                mean_losses = losses.double().mean(0).tolist()
                scalars["train_reconstruction"], scalars["train_divergence"] = mean_losses[1:3]
                history.append(scalars, tensors)
                seconds = time.monotonic() - started
                save_checkpoint(checkpoint, model, optimizer, history, epoch, seconds)
                dead = never_active(history.activity(config.branches[0].name, -1))
                bar.set_postfix(k=config.k_at(epoch), dead=f"{dead.double().mean():.1%}")
                bar.update()
        originals = heldout.pixels(0, N_PICTURES).mul(255).round().to(torch.uint8).cpu()
        save_file(_contiguous(model.state_dict()), workspace / MODEL_FILE)
        save_file(
            _contiguous(history.state() | {"pictures/originals": originals}),
            workspace / HISTORY_FILE,
        )
        timing = {"seconds": round(time.monotonic() - started, 3)}
        (workspace / TIMING_FILE).write_text(json.dumps(timing))


def save_checkpoint(
    path: Path,
    model: VAESAE,
    optimizer: torch.optim.Adam,
    history: History,
    epoch: int,
    seconds: float,
) -> None:
    """Write model, optimiser state and history to one file, complete or not at all.

    `seconds` is the time spent so far, over all interruptions.
    """
    state = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        state |= {f"adam/{number}/{slot}": tensor for slot, tensor in slots.items()}
    state |= {f"history/{name}": tensor for name, tensor in history.state().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(_contiguous(state), temporary, {"epoch": str(epoch), "seconds": str(seconds)})
    os.replace(temporary, path)


def load_checkpoint(
    path: Path, model: VAESAE, optimizer: torch.optim.Adam
) -> tuple[int, float, History]:
    """Put model and optimiser back to where `path` left them.

    Returns the next epoch, the seconds spent before, and the history.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    model.load_state_dict(_below(state, "model/"))
    parameters = list(model.parameters())
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in _below(state, "adam/").items():
        number, slot = name.split("/")
        if tensor.ndim:  # moments must have their parameter's strides: the fused step relies on it
            tensor = torch.empty_like(parameters[int(number)]).copy_(tensor)
        slots.setdefault(int(number), {})[slot] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    history = History.from_state(_below(state, "history/"))
    return int(metadata["epoch"]) + 1, float(metadata["seconds"]), history


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Compute with `threads` CPU threads inside the block, then restore the count."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_finite(losses: Tensor, epoch: int, config: TrainingConfig) -> None:
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        batch = int(wrong[0])
        raise TrainingDivergedError(
            f"the loss is {float(losses[batch])} in epoch {epoch}, batch {batch + 1} of "
            f"{len(losses)}, at learning rate {config.learning_rate}: lower it; the state after "
            f"epoch {epoch - 1} is kept"
        )


def _below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def _contiguous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Safetensors wants dense row-major storage; values are unchanged."""
    return {
        name: tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
