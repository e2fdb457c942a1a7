"""The class token's row without the product of matrices."""

import pytest
import torch

from seethrough.attribution.class_token_chain import class_token_row


def test_by_hand():
    # I + M_2 = (1 2; 0 1), I + M_1 = (1 0; 3 1). Row 0 of the product: (1 + 6, 2).
    second = torch.tensor([[[0.0, 2.0], [0.0, 0.0]]])
    first = torch.tensor([[[0.0, 0.0], [3.0, 0.0]]])
    assert class_token_row([second, first]).tolist() == [[7.0, 2.0]]


def test_equals_the_product_of_matrices():
    matrices = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    product = torch.eye(6, dtype=torch.float64).expand(3, 6, 6)
    for matrix in matrices:
        product = (torch.eye(6, dtype=torch.float64) + matrix) @ product
    torch.testing.assert_close(class_token_row(matrices.flip(0)), product[:, 0])


def test_no_matrix_is_refused():
    with pytest.raises(ValueError, match="at least one matrix"):
        class_token_row([])
