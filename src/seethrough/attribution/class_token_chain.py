"""The class token's row of a product of token-to-token matrices, without the product.

Both rollouts multiply one T x T matrix per block and read one row of the product. Carrying that row
through the chain from the left needs a vector times a matrix per block, T times less work.
"""

from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor


def class_token_row(matrices: Iterable[Float[Tensor, "B T T"]]) -> Float[Tensor, "B T"]:
    """Return row 0 of (I + M_L) ... (I + M_s) from the matrices M, last block first.

    Raises:
        ValueError: no matrix.
    """
    row: Tensor | None = None
    for matrix in matrices:  # each block needs the row of the blocks above it
        if row is None:
            row = matrix[:, 0].clone()  # row 0 of the identity picks row 0 of the matrix
            row[:, 0] += 1
        else:
            # Not a product of (B, 1, T) and (B, T, T): on a CPU that takes twice as long.
            row = row + (row[:, :, None] * matrix).sum(dim=1)  # (B, T)
    if row is None:
        raise ValueError("a chain needs at least one matrix, got none")
    return row
