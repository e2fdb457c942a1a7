"""Bits of floating-point numbers sort as the numbers do, and tell NaN."""

import pytest
import torch

from seethrough.kernels.float_keys import (
    KEY_TYPES,
    float_keys,
    infinity_key,
    minus_infinity_key,
)

DTYPES = [torch.float32, torch.bfloat16, torch.float64]


def test_by_hand() -> None:
    # 1 is sign 0, exponent 127 = 0b01111111, mantissa 0: 127 x 2^23; the next number is one more.
    numbers = torch.tensor([1.0, 1.0 + 2**-23, 0.0, -0.0])
    assert float_keys(numbers).tolist() == [127 * 2**23, 127 * 2**23 + 1, 0, -(2**31)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_positive_numbers_sort_alike_and_stand_above_all_others(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    exponents = torch.randn(500, generator=generator, dtype=torch.float64) * 30
    sizes = exponents.exp2().to(dtype)
    numbers = torch.cat([sizes, -sizes, torch.tensor([0.0, -0.0, torch.inf, -torch.inf])])
    numbers = numbers.to(dtype)
    keys = float_keys(numbers).long()
    assert torch.equal(keys > 0, numbers > 0)
    positive = numbers[numbers > 0]
    assert torch.equal(positive[keys[numbers > 0].argsort()], positive.sort().values)
    assert int(keys.max()) == infinity_key(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nan_lies_beyond_the_infinities_and_nothing_else_does(dtype: torch.dtype) -> None:
    integers = torch.iinfo(KEY_TYPES[dtype])
    first, last = infinity_key(dtype), minus_infinity_key(dtype)
    keys = [integers.max, first + 1, first, 1, 0, -1, last + 1, last, integers.min]
    numbers = torch.tensor(keys, dtype=KEY_TYPES[dtype]).view(dtype)
    beyond = [key > first or last < key < 0 for key in keys]
    assert numbers.isnan().tolist() == beyond
    assert beyond == [True, True, False, False, False, True, True, False, False]


def test_rows_need_not_be_adjacent() -> None:
    numbers = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).T
    assert torch.equal(float_keys(numbers).view(torch.float32), numbers)
