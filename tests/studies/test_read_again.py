"""Batches that are read more than once."""

import pytest
import torch
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages
from seethrough.studies import read_again
from seethrough.studies.read_again import ReadAgain


class Counted(LabelledImages):
    """Images that are their own index, and know how often they were made."""

    name = "counted"
    class_names = ("even", "odd")
    image_shape = (3, 2, 2)

    def __init__(self) -> None:
        self.labels = torch.arange(10) % 2
        self.made = 0

    def images(self, index: Tensor) -> Tensor:
        self.made += len(index)
        return index.float()[:, None, None, None].expand(-1, 3, 2, 2)


def read(batches: ReadAgain) -> list[tuple[list[float], list[int]]]:
    return [(images[:, 0, 0, 0].tolist(), labels.tolist()) for images, labels in batches]


EXPECTED = [([7.0, 2.0], [1, 0]), ([4.0], [0])]


def test_small_images_are_made_once() -> None:
    images = Counted()
    batches = ReadAgain(images, torch.tensor([7, 2, 4]), 2, "cpu")
    assert images.made == 0
    assert read(batches) == read(batches) == EXPECTED
    assert images.made == 3


def test_a_reader_that_stops_at_the_last_batch_has_read_all() -> None:
    images = Counted()
    batches = ReadAgain(images, torch.tensor([7, 2, 4]), 2, "cpu")
    reading = iter(batches)
    next(reading), next(reading)
    assert read(batches) == EXPECTED
    assert images.made == 3


def test_a_reading_that_is_broken_off_keeps_nothing() -> None:
    images = Counted()
    batches = ReadAgain(images, torch.tensor([7, 2, 4]), 2, "cpu")
    next(iter(batches))
    assert read(batches) == EXPECTED
    assert images.made == 2 + 3


def test_many_images_are_made_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_again, "MAX_KEPT", 3 * 3 * 2 * 2 * 4 - 1)
    images = Counted()
    batches = ReadAgain(images, torch.tensor([7, 2, 4]), 2, "cpu")
    assert read(batches) == read(batches) == EXPECTED
    assert images.made == 6
