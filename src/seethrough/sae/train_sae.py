"""Train a sparse autoencoder on a pool of activations: resumable and deterministic.

Loss: mean squared error over standardised features + the method's penalty + AuxK. Fused Adam, betas
0.9 and 0.999; decoder rows have norm 1 after every step. One pass over the pool is one permutation,
drawn from the seed and the pass's number. The whole state is kept after every
`STEPS_BETWEEN_CHECKPOINTS` steps: a run that was killed goes on from there and ends with the same
bytes as one that was not.
"""

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Float64
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn.functional import mse_loss
from tqdm import tqdm

from seethrough.kernels.topk_reference import NAN_MESSAGE
from seethrough.sae.activation_pool import require_finite, shuffled_batches
from seethrough.sae.dead_latents import DeadLatents
from seethrough.sae.jump_relu import JumpReLURule
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.sae_history import MEASURED, history_of, save_history
from seethrough.sae.sparse_autoencoder import SparseAutoencoder, save_autoencoder
from seethrough.sae.unit_norm import project_gradient, renormalise
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.checkpoint import TrainingDivergedError, below, contiguous
from seethrough.training.device import thread_count
from seethrough.training.initialise import generator_for
from seethrough.training.timing import write_seconds

MODEL_FILE = "model.safetensors"
STEPS_BETWEEN_CHECKPOINTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingState:
    """What changes during training."""

    sae: SparseAutoencoder
    """The autoencoder."""
    dead: DeadLatents
    """How long its latents have been silent."""
    optimizer: torch.optim.Adam
    """The optimiser of its parameters."""
    measured: Float64[Tensor, "steps 4"]
    """What each step measured, in the order of `MEASURED`."""


def train_sae(
    config: SAEConfig, inputs: Float[Tensor, "N D"], workspace: Path, label: str = "SAE"
) -> SparseAutoencoder:
    """Return the autoencoder trained on the inputs; write it, its history and timing too.

    The width is the expansion times D. Checkpoints live in `workspace/checkpoint`. The autoencoder
    ends in eval mode on the training's device.

    Raises:
        ValueError: a k above the width, no inputs, or inputs that are NaN or infinite; before any
            work is done.
        TrainingDivergedError: a loss or an activation that is not finite; the last checkpoint then
            stays.
    """
    started = time.monotonic()
    if len(inputs) == 0:
        raise ValueError("training needs at least one activation, got none")
    state = initial_state(config, inputs.shape[1])
    require_finite(inputs)
    keep_freed_memory()
    inputs = inputs.to(config.device, torch.float32)
    path = workspace / "checkpoint" / "sae.safetensors"
    done = 0
    with thread_count(config.threads):
        if path.exists():
            done, seconds = load_state(path, state)
            started -= seconds
        else:
            begin(state.sae, inputs, config)
        steps = enumerate(batches_from(inputs, config, done), done)
        bar = tqdm(total=config.steps, initial=done, desc=label, unit="step", file=sys.stderr)
        with bar:
            for step, batch in steps:
                state.measured[step] = _checked_step(state, batch, config, step)
                bar.update()
                if (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0 or step + 1 == config.steps:
                    check_losses(state.measured[: step + 1, 0], config)
                    save_state(path, state, step + 1, time.monotonic() - started)
    save_autoencoder(state.sae.eval(), workspace / MODEL_FILE)
    save_history(history_of(state.measured, config.steps_per_record), workspace)
    write_seconds(workspace, started)
    return state.sae


def initial_state(config: SAEConfig, d_input: int) -> TrainingState:
    """Return the state before the first step, on the config's device, inputs not seen yet."""
    width = config.expansion * d_input
    generator = generator_for(config.seed, "sae", width)
    sae = SparseAutoencoder(d_input, width, config.method, generator).to(config.device).train()
    return TrainingState(
        sae=sae,
        dead=DeadLatents(width).to(config.device),
        optimizer=make_optimizer(sae, config),
        measured=torch.zeros(
            config.steps, len(MEASURED), dtype=torch.float64, device=config.device
        ),
    )


def begin(sae: SparseAutoencoder, inputs: Float[Tensor, "N D"], config: SAEConfig) -> None:
    """Take from the inputs what standardisation and rule start from; the rule sees one batch."""
    sae.standardisation.measure(inputs)
    sae.rule.begin(sae.dictionary, sae.standardisation(inputs[: config.batch_size]))


def batches_from(
    inputs: Float[Tensor, "N D"], config: SAEConfig, done: int
) -> Iterator[Float[Tensor, "B D"]]:
    """Yield the batches of all steps that are not done yet."""
    per_epoch = config.batches_per_epoch(len(inputs))
    while done < config.steps:
        epoch, first = divmod(done, per_epoch)
        generator = generator_for(config.seed, "pool", epoch)
        for batch in shuffled_batches(inputs, config.batch_size, generator, first):
            yield batch
            done += 1
            if done == config.steps:
                return


def train_step(
    state: TrainingState, batch: Float[Tensor, "B D"], config: SAEConfig
) -> Float64[Tensor, " 4"]:
    """Take one step on raw activations; return what `MEASURED` names, on the device."""
    sae, dictionary = state.sae, state.sae.dictionary
    inputs = sae.standardisation(batch)
    result = sae.rule.training_pass(dictionary, inputs)
    state.dead.observe(result.fired, len(batch))
    dead = state.dead.dead(config.dead_after)
    error = mse_loss(result.reconstruction, inputs)
    loss = error + result.penalty
    if config.auxk is not None:
        loss = loss + config.auxk.loss(dictionary, inputs, result.reconstruction, dead)
    state.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    project_gradient(dictionary.W_dec)
    state.optimizer.step()
    renormalise(dictionary.W_dec)
    measured = (
        loss.detach(),
        1 - error.detach(),
        result.n_active / len(batch),
        dead.double().mean(),
    )
    return torch.stack([number.double() for number in measured])


def make_optimizer(sae: SparseAutoencoder, config: SAEConfig) -> torch.optim.Adam:
    """Return the fused Adam optimiser; learned thresholds have a step size of their own.

    Each group's "speed" is its step size as a multiple of the schedule's.
    """
    groups: list[dict[str, Any]] = [{"params": list(sae.dictionary.parameters()), "speed": 1.0}]
    if isinstance(sae.rule, JumpReLURule):
        speed = sae.rule.config.threshold_speed
        groups.append({"params": list(sae.rule.parameters()), "speed": speed})
    return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)


def check_losses(losses: Float64[Tensor, " steps"], config: SAEConfig) -> None:
    """Raise TrainingDivergedError if the loss of a step is not finite, naming step and rate."""
    wrong = (~losses.isfinite()).nonzero()
    if len(wrong):
        step = int(wrong[0])
        raise _diverged(f"the loss is {float(losses[step])}", step, config)


def save_state(path: Path, state: TrainingState, step: int, seconds: float) -> None:
    """Write everything that changes to one file by a rename, with the seconds spent so far."""
    tensors = {f"sae/{name}": tensor for name, tensor in state.sae.state_dict().items()}
    for number, slots in state.optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{slot}": tensor for slot, tensor in slots.items()}
    tensors |= {"silent_inputs": state.dead.silent_inputs, "measured": state.measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(tensors), temporary, {"step": str(step), "seconds": str(seconds)})
    os.replace(temporary, path)


def load_state(path: Path, state: TrainingState) -> tuple[int, float]:
    """Put everything back to where `path` left it; return steps done and seconds spent."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    state.sae.load_state_dict(below(tensors, "sae/"))
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below(tensors, "adam/").items():
        number, slot = name.split("/")
        slots.setdefault(int(number), {})[slot] = tensor
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": slots, "param_groups": groups})
    state.dead.silent_inputs.copy_(tensors["silent_inputs"])
    state.measured.copy_(tensors["measured"])
    return int(metadata["step"]), float(metadata["seconds"])


def _checked_step(
    state: TrainingState, batch: Float[Tensor, "B D"], config: SAEConfig, step: int
) -> Float64[Tensor, " 4"]:
    """Take a step of its size; weights that became NaN are a diverged run, not a wrong input."""
    for group in state.optimizer.param_groups:
        group["lr"] = group["speed"] * config.rate(step)
    try:
        return train_step(state, batch, config)
    except ValueError as error:
        if str(error) != NAN_MESSAGE:
            raise
        check_losses(state.measured[:step, 0], config)
        raise _diverged("an activation is NaN", step, config) from error


def _diverged(what: str, step: int, config: SAEConfig) -> TrainingDivergedError:
    kept = step // STEPS_BETWEEN_CHECKPOINTS * STEPS_BETWEEN_CHECKPOINTS
    stays = f"the state after step {kept} is kept" if kept else "no step was saved before"
    return TrainingDivergedError(
        f"{what} in step {step + 1}, at learning rate {config.rate(step):g}: lower it; {stays}"
    )
