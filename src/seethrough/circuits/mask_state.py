"""What changes while node masks are trained, how it starts, and how it is kept in a file."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float32, Float64, Int64
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.node_mask import initial_tau
from seethrough.training.checkpoint import TrainingDivergedError, contiguous
from seethrough.training.initialise import generator_for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MaskState:
    """What changes during training; masks are tasks times kappas, kappas fastest."""

    tau: Float32[Tensor, "masks nodes"]
    """The parameter."""
    optimizer: torch.optim.AdamW
    """Its optimiser."""
    losses: Float64[Tensor, "steps masks"]
    """Task losses so far."""
    n_active: Int64[Tensor, "steps masks"]
    """Active nodes so far."""


def initial_state(n_nodes: int, n_steps: int, n_masks: int, training: MaskTraining) -> MaskState:
    """Return the state before the first step: the same tau for every mask."""
    start = initial_tau(n_nodes, generator_for(training.seed, "masks"))
    tau = start.repeat(n_masks, 1).to(training.device).requires_grad_()
    return MaskState(
        tau=tau,
        optimizer=torch.optim.AdamW(
            [tau],
            lr=training.learning_rate,
            betas=(0.9, training.beta2),
            weight_decay=training.weight_decay,
            fused=True,
        ),
        losses=torch.zeros(n_steps, n_masks, dtype=torch.float64, device=training.device),
        n_active=torch.zeros(n_steps, n_masks, dtype=torch.int64, device=training.device),
    )


def check_state(
    state: MaskState, step: int, kept: int, names: Sequence[str], training: MaskTraining
) -> None:
    """Raise TrainingDivergedError if a loss up to this step, or a tau, is not finite.

    `kept` is the step after which the state was last saved, 0 if it never was; `names` are the
    tasks'.
    """
    finite = state.losses[:step].isfinite()
    stays = f"the state after step {kept} is kept" if kept else "no step was saved before"
    if not bool(finite.all()):
        first, mask = (~finite).nonzero()[0].tolist()
        what, when = f"loss is {float(state.losses[first, mask])}", f"in step {first + 1}"
    elif not bool(state.tau.isfinite().all()):
        mask = int((~state.tau.isfinite()).any(dim=1).nonzero()[0])
        what, when = "tau is not finite", f"after step {step}"
    else:
        return
    task, kappa = divmod(mask, len(training.kappas))
    raise TrainingDivergedError(
        f"the {what} {when} of task {names[task]!r} at kappa {training.kappas[kappa]}; {stays}"
    )


def save_state(path: Path, state: MaskState, step: int) -> None:
    """Write tau, moments and measurements to one file by a rename."""
    moments: dict[str, Any] = state.optimizer.state_dict()["state"][0]
    tensors = {f"adam/{slot}": tensor for slot, tensor in moments.items()}
    tensors |= {"tau": state.tau, "losses": state.losses, "n_active": state.n_active}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(tensors), temporary, {"step": str(step)})
    os.replace(temporary, path)


def load_state(path: Path, state: MaskState) -> int:
    """Put everything back to where `path` left it; return the steps done."""
    with safe_open(path, framework="pt") as file:
        step = int(file.metadata()["step"])
    tensors = load_file(path)
    with torch.no_grad():
        for name in ("tau", "losses", "n_active"):
            getattr(state, name).copy_(tensors.pop(name))
    moments = {name.removeprefix("adam/"): tensor for name, tensor in tensors.items()}
    groups = state.optimizer.state_dict()["param_groups"]
    state.optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
    return step
