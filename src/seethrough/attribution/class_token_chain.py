"""The class token's row of a product of token-to-token matrices, without the product.

Both rollouts multiply M_L ... M_s, one T x T matrix per block, and read one row. Carrying that row
through the chain from the left needs a vector times a matrix per block, T times less work.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor


def class_token_row(matrices: Iterable[Float[Tensor, "B T T"]]) -> Float[Tensor, "B T"]:
    """Return row 0 of (I + M_L) ... (I + M_s) from the matrices, last block first.

    Raises:
        ValueError: no matrix.
    """
    row: Tensor | None = None
    for matrix in matrices:  # each block needs the row of the blocks above it
        if row is None:
            row = torch.zeros_like(matrix[:, 0])
            row[:, 0] = 1
        row = row + torch.bmm(row[:, None], matrix)[:, 0]  # (B, T)
    if row is None:
        raise ValueError("a chain needs at least one matrix, got none")
    return row
