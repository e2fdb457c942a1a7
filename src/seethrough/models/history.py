"""What a training run measured on held-out images after every epoch."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.metrics.dead_units import UnitActivity


@dataclass(slots=True)
class History:
    """Measurements by epoch, held as named tensors whose first dimension is the epoch.

    `scalars`: float64 [E] each. `units`: per branch `relu_count`, `fired_count` (int64) and
    `max_activation` (float32), each [E M]. `pictures`: uint8 [E P C H W], values 0 to 255.
    """

    n_heldout: int
    """Images behind every count."""
    scalars: dict[str, list[float]] = field(default_factory=dict)
    """Name to one number per epoch."""
    tensors: dict[str, list[Tensor]] = field(default_factory=dict)
    """Name to one tensor per epoch: `units/...` and `pictures/...`."""

    @property
    def epochs(self) -> int:
        """Return how many epochs have been measured."""
        return len(next(iter(self.scalars.values()), []))

    def append(self, scalars: dict[str, float], tensors: dict[str, Tensor]) -> None:
        """Add one epoch's measurements; the names must be those of the epochs before."""
        if self.epochs and (scalars.keys() != self.scalars.keys()):
            raise ValueError("an epoch must measure what the epochs before it measured")
        for name, number in scalars.items():
            self.scalars.setdefault(name, []).append(number)
        for name, tensor in tensors.items():
            self.tensors.setdefault(name, []).append(tensor.cpu())

    def scalar(self, name: str) -> Float[Tensor, " E"]:
        """Return one measurement by epoch, float64."""
        return torch.tensor(self.scalars[name], dtype=torch.float64)

    def activity(self, branch: str, epoch: int) -> UnitActivity:
        """Return a branch's unit statistics after one epoch, counted from 1; -1 is the last."""
        index = epoch if epoch < 0 else epoch - 1
        return UnitActivity(
            n_images=self.n_heldout,
            relu_count=self.tensors[f"units/{branch}/relu_count"][index],
            fired_count=self.tensors[f"units/{branch}/fired_count"][index],
            max_activation=self.tensors[f"units/{branch}/max_activation"][index],
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything as one flat dictionary of contiguous tensors, ready to be saved."""
        packed = {f"scalars/{name}": self.scalar(name) for name in self.scalars}
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
