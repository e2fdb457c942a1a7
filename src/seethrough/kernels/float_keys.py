"""Floating-point numbers as the integers of their bits, which sort the positive ones alike.

For x, y > 0 (inf included) x < y exactly if bits(x) < bits(y), both read as signed integers; zero
and every negative number have bits of at most 0. So positive entries are selected by comparing
integers: exact in every precision, bfloat16 too, which numpy does not know, and whether or not the
processor treats subnormal numbers as zeros. NaN hides on both sides: above inf with a clear sign,
and, with the sign set, below 0 but above -inf, the most negative number that is none.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

KEY_TYPES = {
    torch.bfloat16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


def float_keys(numbers: Float[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Return the bits of the numbers as signed integers; contiguous numbers are not copied."""
    return numbers.contiguous().view(KEY_TYPES[numbers.dtype])


def infinity_key(dtype: torch.dtype) -> int:
    """Return the bits of +inf, the largest key that is no NaN.

    >>> hex(infinity_key(torch.float32))
    '0x7f800000'
    """
    return int(torch.tensor(torch.inf, dtype=dtype).view(KEY_TYPES[dtype]))


def minus_infinity_key(dtype: torch.dtype) -> int:
    """Return the bits of -inf as a signed integer; keys from here to -1, it excluded, are NaN.

    >>> minus_infinity_key(torch.bfloat16)
    -128
    """
    return int(torch.tensor(-torch.inf, dtype=dtype).view(KEY_TYPES[dtype]))
