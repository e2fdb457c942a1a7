"""Train a classifier, from its first step or from weights that exist; pruned weights stay zero.

AdamW on cross-entropy with label smoothing; the learning rate rises linearly over the warm-up and
falls to zero along a cosine. One epoch is one permutation of the training images, drawn from the
seed and the epoch's number. The whole state is kept after every `STEPS_BETWEEN_CHECKPOINTS` steps:
a run that was killed goes on from there and ends with the same bytes as one that was not.
"""

import math
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64, Int64
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from seethrough.data.labelled_images import LabelledImages
from seethrough.pruning.frozen_masks import FrozenMasks
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.checkpoint import TrainingDivergedError, below, contiguous
from seethrough.training.checks import at_least, check_learning_rate
from seethrough.training.device import check_device, thread_count
from seethrough.training.initialise import generator_for
from seethrough.training.timing import write_seconds

PRECISIONS = ("float32", "bfloat16")
STEPS_BETWEEN_CHECKPOINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierTraining:
    """How a classifier is trained."""

    epochs: int = 2
    """Passes over the training images."""
    batch_size: int = 64
    """Images per step; the last step of an epoch takes what is left."""
    learning_rate: float = 1e-3
    """AdamW's step size at its highest."""
    warmup: float = 0.05
    """Share of all steps over which the step size rises, 0 to 1."""
    weight_decay: float = 0.05
    """Decay of all weights with two or more dimensions, at least 0."""
    label_smoothing: float = 0.1
    """Share of the target that is spread over all classes, 0 to below 1."""
    precision: str = "float32"
    """float32, or bfloat16 for the matrix products."""
    seed: int = 0
    """Decides the order of the images."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads; other counts change results in the last bits."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            at_least(name, getattr(self, name), 1)
        check_learning_rate(self.learning_rate)
        at_least("weight_decay", self.weight_decay, 0)
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup is {self.warmup}, allowed is a share of the steps, 0 to 1")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing is {self.label_smoothing}, allowed is 0 to below 1")
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision is {self.precision!r}, allowed: {', '.join(PRECISIONS)}")
        check_device(self.device)

    def steps(self, n_images: int) -> int:
        """Return how many steps all epochs over `n_images` images take."""
        return self.epochs * math.ceil(n_images / self.batch_size)

    def rate(self, step: int, total: int) -> float:
        """Return the step size of a step, counted from 0 to total - 1."""
        rising = max(1, round(self.warmup * total))
        if step < rising:
            return self.learning_rate * (step + 1) / rising
        share = (step - rising) / max(1, total - rising)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * share))


def train_classifier(
    model: nn.Module,
    images: LabelledImages,
    index: Int64[Tensor, " N"],
    training: ClassifierTraining,
    workspace: Path,
    masks: Mapping[str, Bool[Tensor, "out in"]] | None = None,
    label: str = "classifier",
) -> Float64[Tensor, " steps"]:
    """Train `model` in place on the images at `index`; return the loss of every step.

    With `masks`, weights that are not kept are exactly zero after every step. The model ends in
    eval mode on the training's device. Checkpoints live in `workspace/checkpoint`; the seconds of
    all parts of an interrupted run stand in the workspace's timing file.

    Raises:
        ValueError: no images, or masks that do not fit the model.
        TrainingDivergedError: a loss that is not finite; the last checkpoint then stays.
    """
    if not len(index):
        raise ValueError("training needs at least one image, got none")
    started = time.monotonic()
    keep_freed_memory()
    model.to(training.device).train()
    optimizer = make_optimizer(model, training)
    frozen = None if masks is None else FrozenMasks(model, masks, optimizer)
    path = workspace / "checkpoint" / "classifier.safetensors"
    per_epoch, total = math.ceil(len(index) / training.batch_size), training.steps(len(index))
    losses = torch.zeros(total, dtype=torch.float64, device=training.device)
    done = 0
    if path.exists():
        done, seconds = load_state(path, model, optimizer, losses)
        started -= seconds
    with (
        thread_count(training.threads),
        tqdm(total=total, initial=done, desc=label, unit="step", file=sys.stderr) as bar,
    ):
        for epoch in range(done // per_epoch, training.epochs):
            rows = index[order(len(index), training.seed, epoch)]
            skip = max(0, done - epoch * per_epoch)
            batches = images.batches(
                rows[skip * training.batch_size :], training.batch_size, training.device
            )
            for step, batch in enumerate(batches, epoch * per_epoch + skip):
                for group in optimizer.param_groups:
                    group["lr"] = training.rate(step, total)
                losses[step] = train_step(model, optimizer, batch, training)
                if frozen is not None:
                    frozen.apply()
                bar.update()
                if (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0 or step + 1 == total:
                    check_losses(losses[: step + 1], per_epoch, training.learning_rate)
                    seconds = time.monotonic() - started
                    save_state(path, model, optimizer, losses, step + 1, seconds)
    model.eval()
    write_seconds(workspace, started)
    return losses.cpu()


def train_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    training: ClassifierTraining,
) -> Tensor:
    """Take one step on a batch of images and labels; return its loss, on the device."""
    inputs, labels = batch
    kind = torch.device(training.device).type
    with torch.autocast(kind, torch.bfloat16, enabled=training.precision == "bfloat16"):
        logits = model(inputs)
    loss = F.cross_entropy(logits.float(), labels, label_smoothing=training.label_smoothing)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.detach()


def make_optimizer(model: nn.Module, training: ClassifierTraining) -> torch.optim.AdamW:
    """Return the fused AdamW optimiser; biases, norms and LayerScale do not decay."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=training.learning_rate, fused=True)


def check_losses(losses: Float64[Tensor, " steps"], per_epoch: int, learning_rate: float) -> None:
    """Raise TrainingDivergedError if the loss of a step since the last checkpoint is not finite."""
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        epoch, batch = divmod(int(wrong[0]), per_epoch)
        kept = (len(losses) - 1) // STEPS_BETWEEN_CHECKPOINTS * STEPS_BETWEEN_CHECKPOINTS
        stays = f"the state after step {kept} is kept" if kept else "no step was saved before"
        raise TrainingDivergedError(
            f"the loss is {float(losses[wrong[0]])} in epoch {epoch + 1}, batch {batch + 1} of "
            f"{per_epoch}, at learning rate {learning_rate}: lower it; {stays}"
        )


def order(n_images: int, seed: int, epoch: int) -> Int64[Tensor, " N"]:
    """Return the order of the training images in one epoch, counted from 0."""
    return torch.randperm(n_images, generator=generator_for(seed, "classifier", epoch))


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.AdamW,
    losses: Tensor,
    step: int,
    seconds: float,
) -> None:
    """Write model, moments and losses to one file by a rename, with the seconds spent so far."""
    state = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        state |= {f"adam/{number}/{slot}": tensor for slot, tensor in slots.items()}
    state["losses"] = losses
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(state), temporary, {"step": str(step), "seconds": str(seconds)})
    os.replace(temporary, path)


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.AdamW, losses: Tensor
) -> tuple[int, float]:
    """Put model, moments and losses back to where `path` left them; return steps and seconds."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    model.load_state_dict(below(state, "model/"))
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below(state, "adam/").items():
        number, slot = name.split("/")
        if tensor.ndim:  # moments must have their parameter's strides: the fused step relies on it
            tensor = torch.empty_like(parameters[int(number)]).copy_(tensor)
        slots.setdefault(int(number), {})[slot] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    losses.copy_(state["losses"])
    return int(metadata["step"]), float(metadata["seconds"])
