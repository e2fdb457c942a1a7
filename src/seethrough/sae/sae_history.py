"""How training went, in means over as many steps at a time as the configuration says."""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Float64, Int64
from safetensors.torch import load_file, save_file
from torch import Tensor

from seethrough.training.history import HISTORY_FILE

MEASURED = ("loss", "fve", "l0", "dead_share")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SAEHistory:
    """Measurements of R records, in the order of the steps."""

    steps: Int64[Tensor, " R"]
    """Steps done at the end of each record."""
    loss: Float64[Tensor, " R"]
    """What was minimised: squared error, penalty and AuxK."""
    fve: Float64[Tensor, " R"]
    """Fraction of the pool's variance explained by training codes, 1 at best; of a pool without
    variance, 1 minus the squared error."""
    l0: Float64[Tensor, " R"]
    """Active latents per input."""
    dead_share: Float64[Tensor, " R"]
    """Share of latents that are dead at the step, 0 to 1."""


def history_of(per_step: Float[Tensor, "steps 4"], steps_per_record: int) -> SAEHistory:
    """Return the means of what each step measured, in the order of `MEASURED`; >= 1 step.

    >>> import torch
    >>> history_of(torch.tensor([[4.0, 0, 0, 0], [2, 0, 0, 0], [7, 0, 0, 0]]), 2).loss.tolist()
    [3.0, 7.0]
    """
    records = per_step.double().cpu().split(steps_per_record)  # type: ignore[no-untyped-call]
    means = torch.stack([record.mean(0) for record in records])
    ends = torch.tensor([len(record) for record in records]).cumsum(0)
    columns = dict(zip(MEASURED, means.unbind(1), strict=True))
    return SAEHistory(steps=ends, **columns)


def save_history(history: SAEHistory, folder: Path) -> None:
    """Write the history into a run's folder."""
    names = ("steps", *MEASURED)
    tensors = {name: getattr(history, name).contiguous() for name in names}
    save_file(tensors, folder / HISTORY_FILE)


def load_history(folder: Path) -> SAEHistory:
    """Return the history of the run in `folder`."""
    return SAEHistory(**load_file(folder / HISTORY_FILE))
