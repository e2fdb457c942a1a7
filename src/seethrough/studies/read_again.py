"""Batches of images that can be read more than once, rendered once where they fit into memory."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages

MAX_KEPT = 1 << 30
"""Bytes of images that are kept; more are read from their source every time."""


class ReadAgain:
    """Images and labels of an index, batch by batch, as often as they are asked for.

    Rendering an image costs more than a small model takes to look at it, so images of up to
    `MAX_KEPT` bytes in all are kept, on the device, from the first time they are read to the end.
    """

    def __init__(
        self, images: LabelledImages, index: Int64[Tensor, " N"], batch_size: int, device: str
    ) -> None:
        """Read nothing yet."""
        self.images, self.index = images, index
        self.batch_size, self.device = batch_size, device
        self._kept: list[tuple[Tensor, Tensor]] = []

    def __iter__(self) -> Iterator[tuple[Float[Tensor, "B 3 H W"], Int64[Tensor, " B"]]]:
        """Yield images and labels in the index's order."""
        if self._kept:
            yield from self._kept
            return
        read = self.images.batches(self.index, self.batch_size, self.device)
        if self._n_bytes() > MAX_KEPT:
            yield from read
            return
        batches: list[tuple[Tensor, Tensor]] = []
        n_batches = math.ceil(len(self.index) / self.batch_size)
        for batch in read:
            batches.append(batch)
            # Before the last batch goes out: readers that have enough then do not come back.
            if len(batches) == n_batches:
                self._kept = batches
            yield batch

    def _n_bytes(self) -> int:
        channels, height, width = self.images.image_shape
        return torch.float32.itemsize * len(self.index) * channels * height * width
