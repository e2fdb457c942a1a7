"""Top-k: each input keeps its k most active units.

k falls from `start` to `end` while the squeeze lasts. Symbols: B inputs, M units.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders.schedule import check_shape, share_done


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """The hard sparsifier of {cite:t}`roy2026collapse`, after {cite:t}`gao2024scaling`."""

    start: int = 500
    """Units active per input in the first epoch, at least `end`. From the paper's abstract."""
    end: int = 50
    """Units active per input in the last epoch, at least 1. From the paper's abstract."""
    schedule: str = "linear"
    """Shape of the fall: linear, cosine or constant (`end` throughout)."""

    def __post_init__(self) -> None:
        check_ends(self.start, self.end, self.schedule)

    def level(self, epoch: int, epochs: int) -> float:
        """Return k of one epoch."""
        return k_at(self.start, self.end, self.schedule, epoch, epochs)

    def least_width(self) -> int:
        """Return the smallest dictionary that the squeeze's end leaves any choice: `end` units."""
        return self.end

    def module(self, width: int) -> nn.Module:
        """Return the sparsifier for a dictionary of `width` units; it has no parameters."""
        return TopKModule()

    def penalty(
        self, code: Float[Tensor, "B M"], W_dec: Float[Tensor, "M D"], level: float
    ) -> Float[Tensor, ""]:
        """Return 0: the count is enforced, not asked for."""
        return code.new_zeros(())


class TopKModule(nn.Module):
    """Keeps the k largest entries of each row."""

    def forward(self, relu_code: Float[Tensor, "B M"], level: float) -> Float[Tensor, "B M"]:
        """Return the sparse code; `level` is k."""
        return top_k(relu_code, round(level))


def top_k(relu_code: Float[Tensor, "B M"], k: int) -> Float[Tensor, "B M"]:
    """Return the code with all but the k largest entries of each row set to 0.

    k is per sample; k >= M returns the code as it is. Of equal entries torch.topk picks which stay.
    A kept entry may itself be 0 and then counts as silent everywhere in this project. Gradients
    reach kept entries only.
    """
    if k < 1:
        raise ValueError(f"k is {k}, allowed is a count of at least 1")
    if k >= relu_code.shape[1]:
        return relu_code
    values, positions = relu_code.topk(k, dim=1, sorted=False)  # both [B K]
    return torch.zeros_like(relu_code).scatter(1, positions, values)


def k_at(start: int, end: int, schedule: str, epoch: int, epochs: int) -> float:
    """Return the scheduled count of active units, a whole number."""
    return float(round(start + (end - start) * share_done(schedule, epoch, epochs)))


def check_ends(start: int, end: int, schedule: str) -> None:
    """Raise ValueError for an end below 1, a start below the end, or an unknown schedule."""
    if end < 1:
        raise ValueError(f"k at the end is {end}, allowed is a count of at least 1")
    if start < end:
        raise ValueError(f"k starts at {start}, allowed is at least its end, {end}")
    check_shape(schedule)
