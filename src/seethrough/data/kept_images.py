"""Images that are read again and again, kept in memory as the classifier wants them."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages

MOST_BYTES = 1 << 30
"""Images that would need more are read from their source each time."""


class KeptImages(LabelledImages):
    """Some images of a source by their index there, read once; others are refused."""

    def __init__(self, source: LabelledImages, index: Int64[Tensor, " N"]) -> None:
        """Read the images; raise ValueError for an index outside the source."""
        source.require_indices(index)
        self.name, self.class_names = source.name, source.class_names
        self.labels, self.image_shape = source.labels, source.image_shape
        self.index: Tensor = torch.unique(index.cpu())
        self.pixels = source.images(self.index)

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the images at these indices of the source, on the index's device.

        Raises:
            ValueError: an index whose image is not kept.
        """
        wanted = index.cpu()
        rows = torch.searchsorted(self.index, wanted).clamp(max=len(self.index) - 1)
        missing = self.index[rows] != wanted
        if missing.any():
            raise ValueError(
                f"index {int(wanted[missing][0])} is not kept, allowed is one of the "
                f"{len(self.index)} that were read"
            )
        return self.pixels[rows].to(index.device)


def kept_images(source: LabelledImages, index: Int64[Tensor, " N"]) -> LabelledImages:
    """Return the images kept in memory, or the source itself if they need more than MOST_BYTES."""
    bytes_each = 4 * torch.Size(source.image_shape).numel()
    return source if bytes_each * len(index) > MOST_BYTES else KeptImages(source, index)
