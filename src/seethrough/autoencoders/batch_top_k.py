"""BatchTopK: a batch keeps its k x B most active entries, however they fall on its inputs.

While learning, the k B largest entries of the whole batch stay, so an input that needs more units
may have them. A single input has no batch: when codes are measured, an entry stays if it exceeds a
threshold, the mean over training batches of the smallest entry that stayed. Because k falls, only
batches since its last change count. Symbols: B inputs, M units.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders.top_k import check_ends, k_at


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTopK:
    """The sparsifier of {cite:t}`bussmann2024batchtopk`, under the schedule of Top-k."""

    start: int = 500
    """Units active per input in the first epoch, mean over a batch, at least `end`."""
    end: int = 50
    """Units active per input in the last epoch, mean over a batch, at least 1."""
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
        """Return the sparsifier for a dictionary of `width` units; its threshold starts at 0."""
        return BatchTopKModule()

    def penalty(
        self, code: Float[Tensor, "B M"], W_dec: Float[Tensor, "M D"], level: float
    ) -> Float[Tensor, ""]:
        """Return 0: the count is enforced, not asked for."""
        return code.new_zeros(())


class BatchTopKModule(nn.Module):
    """Keeps the k B largest entries of a batch (training) or those above a threshold."""

    threshold: Tensor
    n_batches: Tensor
    k: Tensor

    def __init__(self) -> None:
        """Start with no batch seen."""
        super().__init__()
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))
        self.register_buffer("k", torch.zeros(()))

    def forward(self, relu_code: Float[Tensor, "B M"], level: float) -> Float[Tensor, "B M"]:
        """Return the sparse code; `level` is k."""
        if not self.training:
            return torch.where(relu_code > self.threshold, relu_code, 0.0)
        code = batch_top_k(relu_code, round(level))
        self._observe(code.detach(), level)
        return code

    def _observe(self, code: Float[Tensor, "B M"], level: float) -> None:
        """Take one batch into the mean of the smallest entry that stayed."""
        positive = code > 0
        least = torch.where(positive, code, torch.inf).amin()
        least = torch.where(positive.any(), least, 0.0)  # a silent batch keeps everything
        count = torch.where(self.k == level, self.n_batches, 0) + 1
        self.threshold += (least - self.threshold) / count  # count 1 forgets what was before
        self.n_batches.copy_(count)
        self.k.fill_(level)


def batch_top_k(relu_code: Float[Tensor, "B M"], k_per_sample: int) -> Float[Tensor, "B M"]:
    """Return the code with all but its k_per_sample x B largest entries set to 0.

    k_per_sample >= M returns the code as it is. Of equal entries torch.topk picks which stay. A
    kept entry may itself be 0 and then counts as silent. Gradients reach kept entries only.

    >>> batch_top_k(torch.tensor([[3.0, 2.0], [1.0, 0.5]]), 1).tolist()
    [[3.0, 2.0], [0.0, 0.0]]
    """
    if k_per_sample < 1:
        raise ValueError(f"k is {k_per_sample}, allowed is a count of at least 1")
    n_inputs, width = relu_code.shape
    if k_per_sample >= width:
        return relu_code
    flat = relu_code.reshape(-1)  # [B M] in one row
    values, positions = flat.topk(k_per_sample * n_inputs, sorted=False)
    return torch.zeros_like(flat).scatter(0, positions, values).view_as(relu_code)
