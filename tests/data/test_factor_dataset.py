"""The fixed order of a factor dataset, on a dataset small enough to write out."""

import numpy as np
import pytest
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from seethrough.data import FactorDataset


class Checkers(FactorDataset):
    name = "checkers"
    factor_names = ("row", "column")
    factor_sizes = (2, 3)
    factor_values = ((0.0, 1.0), (0.0, 0.5, 1.0))
    image_shape = (1, 2, 4)
    max_value = 1

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        self.require_indices(index)
        return torch.zeros(len(index), *self.image_shape, dtype=torch.uint8)


def test_order_is_last_factor_fastest():
    dataset = Checkers()
    assert len(dataset) == 6
    # Counting up in base (2, 3): 00 01 02 10 11 12.
    expected = [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert dataset.classes(torch.arange(6)).tolist() == expected
    assert dataset.index(torch.tensor(expected)).tolist() == list(range(6))


def test_order_equals_unravelled_index():
    class Five(Checkers):
        factor_names = ("a", "b", "c", "d", "e")
        factor_sizes = (3, 2, 4, 1, 5)

    index = torch.randperm(120, generator=torch.Generator().manual_seed(0))
    expected = np.stack(np.unravel_index(index.numpy(), (3, 2, 4, 1, 5)), axis=1)
    classes = Five().classes(index)
    assert np.array_equal(classes.numpy(), expected)
    assert torch.equal(Five().index(classes), index)


def test_no_images_asked_for():
    dataset = Checkers()
    nothing = torch.empty(0, dtype=torch.int64)
    assert dataset.classes(nothing).shape == (0, 2)
    assert dataset.index(torch.empty(0, 2, dtype=torch.int64)).shape == (0,)
    assert dataset.images(nothing).shape == (0, 1, 2, 4)


@pytest.mark.parametrize("wrong", [-1, 6])
def test_index_outside_is_refused(wrong):
    with pytest.raises(IndexError, match=f"from 0 to 5, got {wrong}"):
        Checkers().classes(torch.tensor([0, wrong]))


def test_class_outside_is_refused_by_name():
    with pytest.raises(ValueError, match="column classes run from 0 to 2, got 3"):
        Checkers().index(torch.tensor([[0, 0], [1, 3]]))
    with pytest.raises(ValueError, match="row classes run from 0 to 1, got -1"):
        Checkers().index(torch.tensor([[-1, 0]]))


def test_wrong_number_of_factors_is_refused():
    with pytest.raises(ValueError, match=r"2 columns \(row, column\), got 3"):
        Checkers().index(torch.tensor([[0, 0, 0]]))
