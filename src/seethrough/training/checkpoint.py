"""The state of a training run in one safetensors file, complete or not there at all."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seethrough.training.history import History


class TrainingDivergedError(RuntimeError):
    """Loss or parameters became NaN or infinite; the message names place and learning rate."""


def check_finite(
    losses: Tensor, after: Sequence[Tensor], epoch: int, learning_rate: float, kept: int
) -> None:
    """Raise TrainingDivergedError if a batch's loss, or what the epoch left, is NaN or infinite.

    `losses` holds one epoch's losses by batch, each from before its step. So `after` holds the
    parameters after the last step, and the loss that they give on some batch: finite parameters may
    be too large for a finite loss. `kept` is the epoch of the last saved state, 0 if there is none.
    """
    wrong = (~losses.isfinite()).nonzero()
    stays = f"the state after epoch {kept} is kept" if kept else "no epoch was saved before"
    if len(wrong):
        batch = int(wrong[0])
        what = f"the loss is {float(losses[batch])} in"
    elif not bool(torch.stack([tensor.isfinite().all() for tensor in after]).all()):
        batch = len(losses) - 1
        what = "parameters or their loss are not finite after"
    else:
        return
    raise TrainingDivergedError(
        f"{what} epoch {epoch}, batch {batch + 1} of {len(losses)}, at learning rate "
        f"{learning_rate}: lower it; {stays}"
    )


def save_checkpoint(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Adam,
    history: History,
    epoch: int,
    seconds: float,
) -> None:
    """Write model, optimiser state and history to one file by a rename.

    `seconds` is the time spent so far, over all interruptions.
    """
    state = {f"model/{name}": tensor for name, tensor in model.state_dict().items()}
    for number, slots in optimizer.state_dict()["state"].items():
        state |= {f"adam/{number}/{slot}": tensor for slot, tensor in slots.items()}
    state |= {f"history/{name}": tensor for name, tensor in history.state().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(state), temporary, {"epoch": str(epoch), "seconds": str(seconds)})
    os.replace(temporary, path)


def load_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Adam
) -> tuple[int, float, History]:
    """Put model and optimiser back to where `path` left them.

    Returns the next epoch, the seconds spent before, and the history.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    state = load_file(path)
    model.load_state_dict(below(state, "model/"))
    parameters = list(model.parameters())
    slots: dict[int, dict[str, Tensor]] = {}
    for name, tensor in below(state, "adam/").items():
        number, slot = name.split("/")
        if tensor.ndim:  # moments must have their parameter's strides: the fused step relies on it
            tensor = torch.empty_like(parameters[int(number)]).copy_(tensor)
        slots.setdefault(int(number), {})[slot] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": slots, "param_groups": groups})
    history = History.from_state(below(state, "history/"))
    return int(metadata["epoch"]) + 1, float(metadata["seconds"]), history


def below(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): t for name, t in state.items() if name.startswith(prefix)}


def contiguous(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors on the CPU in dense row-major storage, as safetensors wants them."""
    return {
        name: tensor.detach().cpu().contiguous(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
