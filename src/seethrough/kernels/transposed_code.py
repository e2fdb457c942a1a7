"""A ragged code read by latent instead of by row: what every gradient of a weight needs.

Symbols: B inputs, M latents, n active entries in all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode

# Keys of 2 bytes sort 3 times as fast as keys of 8 (1.8 against 0.6 ms, 131,072 entries, CPU).
MAX_INT16 = torch.iinfo(torch.int16).max


@dataclass(frozen=True, slots=True)
class TransposedCode:
    """Entries of a code in order of latents, and within a latent in order of rows (CSC)."""

    latent_starts: Int64[Tensor, " latents_and_end"]
    """Where each latent begins, M + 1 numbers from 0 to n, never falling."""
    rows: Int64[Tensor, " n"]
    """Row of each entry, ascending within a latent."""
    positions: Int64[Tensor, " n"]
    """Where each entry stands in the code."""


def transpose_code(code: RaggedCode) -> TransposedCode:
    """Return the order of the code's entries by latent, from one stable sort of integers.

    Deterministic, without a copy to the host. Cost: 131,072 entries take 1 ms on one CPU thread.

    >>> import torch
    >>> code = RaggedCode(torch.tensor([0, 2, 3]), torch.tensor([0, 4, 0]), torch.ones(3), 5)
    >>> transpose_code(code).rows.tolist()
    [0, 1, 0]
    """
    keys = code.latents.to(torch.int16 if code.width <= MAX_INT16 else torch.int64)
    ordered, positions = torch.sort(keys, stable=True)
    latents = torch.arange(code.width + 1, dtype=keys.dtype, device=keys.device)
    starts = torch.searchsorted(ordered, latents)
    # index_select: 0.1 ms where indexing by brackets takes 0.35
    return TransposedCode(starts, code.rows().index_select(0, positions), positions)
