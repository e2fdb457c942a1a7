"""Everything that decides the outcome of one training run."""

from dataclasses import dataclass

import torch

from seethrough.models.schedule import ConstantSchedule, LinearSchedule, Schedule
from seethrough.models.vae_sae import Branch, check_branches


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run of a VAE-SAE; two runs of one config give the same bytes on one device."""

    source: str = "rendered"
    """Where dSprites come from: our renderer, or the published file."""
    n_train: int = 10_000
    """Training images, at least 1; training and held-out images are disjoint."""
    n_heldout: int = 4_096
    """Held-out images for every measurement, at least 2."""
    branches: tuple[Branch, ...] = (Branch(),)
    """Sparse layers trained together; see seethrough.models.vae_sae."""
    schedule: Schedule = LinearSchedule()
    """Active units per image by epoch; capped at a branch's width."""
    epochs: int = 50
    """Passes over the training images, at least 1. From the paper's abstract."""
    beta: float = 1.0
    """Weight of the KL divergence, at least 0. Our assumption."""
    sae_weight: float = 10.0
    """Weight of each branch's unexplained variance, above 0. Our assumption."""
    learning_rate: float = 1e-3
    """Adam's step size, above 0. Our assumption."""
    batch_size: int = 256
    """Images per step, at least 1. Our assumption."""
    seed: int = 0
    """Decides images, start, order and noise; at least 0."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 2
    """Threads of one run on the CPU, at least 1: sums depend on it in the last bits."""

    def __post_init__(self) -> None:
        for name in ("n_train", "epochs", "batch_size", "threads"):
            _at_least(name, getattr(self, name), 1)
        _at_least("n_heldout", self.n_heldout, 2)
        _at_least("seed", self.seed, 0)
        _at_least("beta", self.beta, 0)
        for name in ("sae_weight", "learning_rate"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value}, allowed is a finite number above 0")
        if self.source not in ("rendered", "official"):
            raise ValueError(f"source is {self.source!r}, allowed are 'rendered' and 'official'")
        check_branches(self.branches)
        check_device(self.device)
        schedule = self.schedule
        k_last = schedule.k if isinstance(schedule, ConstantSchedule) else schedule.end
        for branch in self.branches:
            if branch.width < k_last:
                raise ValueError(
                    f"width is {branch.width}, allowed is at least the final k, {k_last}"
                )

    def k_at(self, epoch: int) -> int:
        """Return the schedule's k of one epoch, counted from 1."""
        return self.schedule.k_at(epoch, self.epochs)


def check_device(device: str) -> None:
    """Raise ValueError unless torch can compute on `device` here."""
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}, allowed are cpu, cuda and cuda:N") from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}, allowed are cpu, cuda and cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ValueError(
            f"device is {device!r}, but torch sees no CUDA device: allowed here is cpu"
        )


def _at_least(name: str, value: int | float, least: int) -> None:
    if not least <= value < float("inf"):
        raise ValueError(f"{name} is {value}, allowed is at least {least}")
