"""Images with class labels, prepared for a classifier: one interface over every source."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor


class LabelledImages(ABC):
    """Images by index with one class each; subclasses say where they come from.

    Symbols: N images of an index; C classes; H rows, W columns.
    """

    name: str
    """What to call the images in a figure."""
    class_names: tuple[str, ...]
    """Names of the C classes."""
    labels: Int64[Tensor, " all"]
    """Class of every image, 0 to C - 1, on the CPU."""
    image_shape: tuple[int, int, int]
    """Channels, rows and columns."""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    @abstractmethod
    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the images at these indices as the classifier wants them, on the index's device.

        An image does not depend on the others of the call.
        """

    def batches(
        self, index: Int64[Tensor, " N"], batch_size: int, device: str | torch.device = "cpu"
    ) -> Iterator[tuple[Float[Tensor, "B 3 H W"], Int64[Tensor, " B"]]]:
        """Yield images and labels in the index's order, `batch_size` at a time.

        Raises ValueError for an index outside the images or a batch size below 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size is {batch_size}, allowed is at least 1")
        self.require_indices(index)
        for first in range(0, len(index), batch_size):
            some = index[first : first + batch_size].cpu()
            yield self.images(some.to(device)), self.labels[some].to(device)

    def require_indices(self, index: Int64[Tensor, " N"]) -> None:
        """Raise ValueError unless every index is that of an image."""
        if len(index) and not (int(index.min()) >= 0 and int(index.max()) < len(self)):
            wrong = index[(index < 0) | (index >= len(self))][0]
            raise ValueError(f"index {int(wrong)} is not there, allowed is 0 to {len(self) - 1}")
