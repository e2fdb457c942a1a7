"""What a training run measured on held-out images, epoch by epoch."""

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seethrough.metrics.dead_units import UnitActivity

HISTORY_FILE = "history.safetensors"


@dataclass(slots=True)
class History:
    """Measurements by epoch, held as named tensors whose first dimension is the epoch.

    `scalars`: float64 [E] each; NaN where an epoch was not measured, as scores are not after every
    epoch. `units/...`: `relu_count`, `fired_count` (int64) and `max_activation` (float32) of a
    sparse layer's units, each [E M].
    """

    n_heldout: int
    """Images behind every count."""
    scalars: dict[str, list[float]] = field(default_factory=dict)
    """Name to one number per epoch."""
    tensors: dict[str, list[Tensor]] = field(default_factory=dict)
    """Name to one tensor per epoch."""

    @property
    def epochs(self) -> int:
        """Return how many epochs have been measured."""
        return len(next(iter(self.scalars.values()), []))

    def append(self, scalars: dict[str, float], tensors: dict[str, Tensor]) -> None:
        """Add one epoch's measurements; a scalar that is missing now or before is NaN there.

        Tensors are kept for the epochs that bring them.
        """
        before = self.epochs
        for name in self.scalars.keys() | scalars.keys():
            numbers = self.scalars.setdefault(name, [math.nan] * before)
            numbers.append(scalars.get(name, math.nan))
        for name, tensor in tensors.items():
            self.tensors.setdefault(name, []).append(tensor.cpu())

    def measured(self, name: str) -> tuple[list[int], list[float]]:
        """Return the epochs (from 1) at which a scalar was measured, and its values there."""
        pairs = [(e, x) for e, x in enumerate(self.scalars[name], 1) if not math.isnan(x)]
        return [epoch for epoch, _ in pairs], [number for _, number in pairs]

    def activity(self, epoch: int) -> UnitActivity:
        """Return the units' statistics after one epoch, counted from 1; -1 is the last."""
        last = len(self.tensors["units/relu_count"])
        if not (-last <= epoch <= last and epoch):
            raise ValueError(f"epoch is {epoch}, allowed is 1 to {last}, or -1 for the last")
        index = epoch if epoch < 0 else epoch - 1
        return UnitActivity(
            n_images=self.n_heldout,
            relu_count=self.tensors["units/relu_count"][index],
            fired_count=self.tensors["units/fired_count"][index],
            max_activation=self.tensors["units/max_activation"][index],
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything as one flat dictionary of contiguous tensors, ready to be saved."""
        packed = {
            f"scalars/{name}": torch.tensor(numbers, dtype=torch.float64)
            for name, numbers in self.scalars.items()
        }
        packed |= {name: torch.stack(per_epoch) for name, per_epoch in self.tensors.items()}
        packed["n_heldout"] = torch.tensor(self.n_heldout)
        return packed

    @classmethod
    def from_state(cls, state: dict[str, Tensor]) -> "History":
        """Return the history that `state` came from."""
        history = cls(int(state["n_heldout"]))
        for name, tensor in state.items():
            if name.startswith("scalars/"):
                history.scalars[name.removeprefix("scalars/")] = tensor.tolist()
            elif name != "n_heldout":
                history.tensors[name] = list(tensor.unbind(0))
        return history
