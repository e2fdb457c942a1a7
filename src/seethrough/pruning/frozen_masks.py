"""Pruned weights that stay exactly zero while the others learn."""

from collections.abc import Mapping

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from seethrough.pruning.apply_masks import masked_weights


class FrozenMasks:
    """Holds a model to its masks during training, without hooks.

    Call `apply` after every step of the optimiser, and `mask_gradients` before gradients are
    clipped, if they are, so that the norm is that of the kept weights:

        loss.backward(); frozen.mask_gradients(); optimizer.step(); frozen.apply()
    """

    def __init__(
        self,
        model: nn.Module,
        masks: Mapping[str, Bool[Tensor, "_ _"]],
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Prune the model; with `optimizer`, its moments of pruned weights are held at zero too.

        Raises ValueError for a mask that fits no linear layer of the model.
        """
        self._weights = list(masked_weights(model, masks).values())
        self._removed = [
            ~mask.to(weight.device)
            for mask, weight in zip(masks.values(), self._weights, strict=True)
        ]
        self._optimizer = optimizer
        self.apply()

    @torch.no_grad()
    def apply(self) -> None:
        """Set pruned weights, their gradients and their moments to exactly zero."""
        for weight, removed in zip(self._weights, self._removed, strict=True):
            weight.masked_fill_(removed, 0.0)
            for moment in self._moments(weight):
                moment.masked_fill_(removed, 0.0)
        self.mask_gradients()

    @torch.no_grad()
    def mask_gradients(self) -> None:
        """Set the gradients of pruned weights to zero; weights without a gradient are passed by."""
        for weight, removed in zip(self._weights, self._removed, strict=True):
            if weight.grad is not None:
                weight.grad.masked_fill_(removed, 0.0)

    def _moments(self, weight: Tensor) -> list[Tensor]:
        """Return what the optimiser remembers of each weight: momentum, mean square and so on."""
        if self._optimizer is None or weight not in self._optimizer.state:
            return []
        slots = self._optimizer.state[weight].values()
        return [s for s in slots if isinstance(s, Tensor) and s.shape == weight.shape]
