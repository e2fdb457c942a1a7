"""Batches of labelled images: order, sizes, labels, and what is refused."""

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages


class Numbered(LabelledImages):
    """Image i is i everywhere, and its class is i modulo 3."""

    def __init__(self, n: int) -> None:
        self.name, self.class_names, self.image_shape = "numbered", ("a", "b", "c"), (3, 2, 2)
        self.labels = torch.arange(n) % 3

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        return index.float()[:, None, None, None].expand(-1, *self.image_shape).contiguous()


def test_length_is_the_number_of_labels() -> None:
    assert len(Numbered(7)) == 7


def test_batches_follow_the_index() -> None:
    # Five images two at a time: 6 and 0, 3 and 3 again, 1 alone.
    batches = list(Numbered(7).batches(torch.tensor([6, 0, 3, 3, 1]), 2))
    assert [images[:, 0, 0, 0].tolist() for images, _ in batches] == [[6, 0], [3, 3], [1]]
    assert [labels.tolist() for _, labels in batches] == [[0, 0], [0, 0], [1]]


@pytest.mark.parametrize("batch_size", [1, 3, 5, 100])
def test_batch_size_changes_nothing_but_the_cuts(batch_size: int) -> None:
    index = torch.tensor([4, 2, 0, 1, 3])
    images, labels = zip(*Numbered(5).batches(index, batch_size), strict=True)
    assert torch.equal(torch.cat(images)[:, 0, 0, 0], index.float())
    assert torch.equal(torch.cat(labels), index % 3)


def test_no_index_gives_no_batch() -> None:
    assert list(Numbered(3).batches(torch.empty(0, dtype=torch.int64), 2)) == []


def test_images_and_labels_are_on_the_device() -> None:
    # The meta device stands for any other than the CPU.
    class OnDevice(Numbered):
        def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
            return torch.zeros(len(index), 3, 2, 2, device=index.device)

    ((images, labels),) = OnDevice(3).batches(torch.tensor([1, 2]), 2, "meta")
    assert (images.device.type, labels.device.type) == ("meta", "meta")


@pytest.mark.parametrize(("index", "wrong"), [([0, 3], "3"), ([-1, 0], "-1")])
def test_index_outside_the_images_is_refused(index: list[int], wrong: str) -> None:
    with pytest.raises(ValueError, match=f"index {wrong} is not there, allowed is 0 to 2"):
        next(Numbered(3).batches(torch.tensor(index), 1))


@pytest.mark.parametrize("batch_size", [0, -2])
def test_batch_size_below_one_is_refused(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size is {batch_size}, allowed is at least 1"):
        next(Numbered(3).batches(torch.tensor([0]), batch_size))
