"""Weighted sums of table rows against their definition. Their kernel: test_sparse_decode.py."""

import pytest
import torch

from seethrough.kernels.weighted_row_sums import weighted_row_sums


def test_by_hand() -> None:
    # Segment 0 is 2 (1, 2) - 1 (5, 6), segment 1 is empty, segment 2 is 3 (1, 2).
    table = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    starts, rows = torch.tensor([0, 2, 2, 3]), torch.tensor([0, 2, 0])
    sums = weighted_row_sums(starts, rows, torch.tensor([2.0, -1.0, 3.0]), table)
    assert sums.tolist() == [[-3.0, -2.0], [0.0, 0.0], [3.0, 6.0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_a_loop(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(6, 13, generator=generator, dtype=dtype)
    rows = torch.randint(6, (20,), generator=generator)
    weights = torch.randn(20, generator=generator, dtype=dtype)
    starts = torch.tensor([0, 0, 7, 8, 20, 20])
    sums = weighted_row_sums(starts, rows, weights, table)
    for s in range(5):
        entries = range(int(starts[s]), int(starts[s + 1]))
        expected = sum((weights[e] * table[rows[e]] for e in entries), torch.zeros_like(table[0]))
        torch.testing.assert_close(sums[s], expected)


def test_no_gradients_and_any_strides() -> None:
    table = torch.arange(6.0).reshape(2, 3).requires_grad_()
    weights = torch.tensor([2.0]).requires_grad_()
    sums = weighted_row_sums(torch.tensor([0, 1]), torch.tensor([1]), weights, table.T)
    assert sums.tolist() == [[2.0, 8.0]]
    assert not sums.requires_grad
