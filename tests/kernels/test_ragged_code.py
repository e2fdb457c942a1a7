"""Codes in compressed rows say the same as their dense form."""

import pytest
import torch
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode


def by_hand() -> RaggedCode:
    """Row 0: latent 2 is 5. Row 1: nothing. Row 2: latents 0 and 3 are 1 and 7."""
    starts, latents = torch.tensor([0, 1, 1, 3]), torch.tensor([2, 0, 3])
    return RaggedCode(starts, latents, torch.tensor([5.0, 1.0, 7.0]), 4)


def random_code(n_rows: int, width: int, density: float) -> tuple[RaggedCode, Tensor]:
    generator = torch.Generator().manual_seed(n_rows)
    kept = torch.rand(n_rows, width, generator=generator) < density
    dense = (torch.rand(n_rows, width, generator=generator) + 0.1) * kept
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    return RaggedCode(starts, kept.nonzero()[:, 1], dense[kept], width), dense


def test_by_hand() -> None:
    code = by_hand()
    assert code.n_rows == 3
    assert code.row_counts().tolist() == [1, 0, 2]
    assert code.rows().tolist() == [0, 2, 2]
    assert code.dense().tolist() == [[0, 0, 5, 0], [0, 0, 0, 0], [1, 0, 0, 7]]


@pytest.mark.parametrize("density", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (7, 13), (40, 3)])
def test_dense_is_what_the_code_was_made_of(shape: tuple[int, int], density: float) -> None:
    code, dense = random_code(*shape, density)
    assert torch.equal(code.dense(), dense)
    assert code.row_counts().tolist() == (dense > 0).sum(1).tolist()
    assert torch.equal(dense[code.rows(), code.latents], code.values)


@pytest.mark.parametrize(("n_rows", "width"), [(0, 5), (3, 0), (0, 0)])
def test_a_code_without_entries(n_rows: int, width: int) -> None:
    nothing = torch.zeros(0, dtype=torch.int64)
    starts = torch.zeros(n_rows + 1, dtype=torch.int64)
    code = RaggedCode(starts, nothing, torch.zeros(0), width)
    assert code.n_rows == n_rows
    assert code.rows().tolist() == []
    assert code.dense().shape == (n_rows, width)


def test_dense_keeps_the_type_of_the_values() -> None:
    code, _ = random_code(3, 5, 0.5)
    half = RaggedCode(code.row_starts, code.latents, code.values.bfloat16(), 5)
    assert half.dense().dtype == torch.bfloat16


def test_gradients_reach_the_values_from_their_own_places() -> None:
    code = by_hand()
    values = code.values.clone().requires_grad_()
    dense = RaggedCode(code.row_starts, code.latents, values, code.width).dense()
    dense.backward(torch.arange(12.0).view(3, 4))
    assert values.grad is not None
    assert values.grad.tolist() == [2.0, 8.0, 11.0]  # places (0, 2), (2, 0), (2, 3)
