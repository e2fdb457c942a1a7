"""A sparse code whose rows hold different numbers of active latents, as compressed rows (CSR).

Row b holds the entries row_starts[b] to row_starts[b + 1]: ascending latents, each at most once,
and their values. Symbols: B inputs, M latents, n active entries in all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, slots=True)
class RaggedCode:
    """Active latents of a batch; index tensors never carry gradients, values may."""

    row_starts: Int64[Tensor, " rows_and_end"]
    """Where each row begins, B + 1 numbers from 0 to n, never falling."""
    latents: Int64[Tensor, " n"]
    """Which latents are active, ascending within a row."""
    values: Float[Tensor, " n"]
    """Their activations."""
    width: int
    """Number of latents, M."""

    @property
    def n_rows(self) -> int:
        """Return the number of inputs, B."""
        return len(self.row_starts) - 1

    def row_counts(self) -> Int64[Tensor, " B"]:
        """Return how many latents are active in each row."""
        return self.row_starts.diff()

    def rows(self) -> Int64[Tensor, " n"]:
        """Return the row of every entry."""
        numbers = torch.arange(self.n_rows, device=self.row_starts.device)
        return numbers.repeat_interleave(self.row_counts(), output_size=len(self.latents))

    def dense(self) -> Float[Tensor, "B M"]:
        """Return the code with its zeros written out; gradients reach `values`.

        >>> import torch
        >>> RaggedCode(torch.tensor([0, 1, 1]), torch.tensor([2]), torch.tensor([5.0]), 3).dense()
        tensor([[0., 0., 5.],
                [0., 0., 0.]])
        """
        zeros = self.values.new_zeros(self.n_rows * self.width)
        flat = self.rows() * self.width + self.latents
        return zeros.index_put((flat,), self.values).view(self.n_rows, self.width)
