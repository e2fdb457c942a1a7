"""How long each latent has been silent, in inputs: who is dead while training.

A latent fires on a batch if it is above 0 on at least one input. One that is never chosen counts up
from the first batch on. Symbol: M latents.
"""

import torch
from jaxtyping import Bool
from torch import Tensor, nn


class DeadLatents(nn.Module):
    """Counts, for each latent, the inputs since the batch in which it last fired."""

    silent_inputs: Tensor

    def __init__(self, width: int) -> None:
        """Start at 0 for every latent."""
        super().__init__()
        self.register_buffer("silent_inputs", torch.zeros(width, dtype=torch.int64))

    def observe(self, fired: Bool[Tensor, " M"], n_inputs: int) -> None:
        """Count one batch of `n_inputs`.

        >>> import torch
        >>> dead = DeadLatents(2)
        >>> dead.observe(torch.tensor([True, False]), 8)
        >>> dead.dead(8).tolist()
        [False, True]
        """
        self.silent_inputs.copy_(torch.where(fired, 0, self.silent_inputs + n_inputs))

    def dead(self, after: int) -> Bool[Tensor, " M"]:
        """Return the latents that were silent for at least `after` inputs."""
        return self.silent_inputs >= after
