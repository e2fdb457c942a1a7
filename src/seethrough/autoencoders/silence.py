"""For how many steps each unit has been silent: what methods that revive units go by."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


class SilenceCounter(nn.Module):
    """Counts, for each unit, the training steps since it last fired."""

    steps: Tensor

    def __init__(self, width: int) -> None:
        """Start at 0 for every unit."""
        super().__init__()
        self.register_buffer("steps", torch.zeros(width, dtype=torch.int64))

    def observe(self, code: Float[Tensor, "B M"]) -> None:
        """Count one step: a unit fired if its code is above 0 on some input of the batch."""
        fired = (code.detach() > 0).any(0)
        self.steps.copy_(torch.where(fired, 0, self.steps + 1))

    def dead(self, patience: int) -> Bool[Tensor, " M"]:
        """Return the units that have been silent for at least `patience` steps."""
        return self.steps >= patience
