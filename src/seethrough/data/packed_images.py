"""Binary images held as bits, eight pixels to a byte, and the dataset that serves them.

The layout is that of `numpy.packbits(image)`: rows one after another, the first pixel in the
highest bit. An image of 64 x 64 pixels takes 512 bytes instead of 4,096.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from seethrough.data.factor_dataset import Description, FactorDataset

# As a little-endian number, eight pixels of 0 or 1 times this constant have their bits gathered in
# the highest byte, first pixel highest: bit 8i moves to 63 - i, and no two products overlap.
GATHER = sum(1 << (63 - 9 * i) for i in range(8)) - (1 << 64)
# The bits of eight pixels that must be 0 in a binary image.
NOT_BINARY = ~0x0101010101010101


def pack_images(images: UInt8[Tensor, "N C H W"]) -> UInt8[Tensor, "N bytes"]:
    """Return images of 0 and 1 as bits, C H W / 8 bytes each.

    >>> pack_images(torch.tensor([[[[1, 0, 0, 0, 0, 0, 1, 1]]]], dtype=torch.uint8))
    tensor([[131]], dtype=torch.uint8)

    Raises:
        ValueError: a pixel that is not 0 or 1, or a pixel count that is no multiple of 8.
    """
    n_pixels = math.prod(images.shape[1:])
    _require_whole_bytes(n_pixels)
    if len(images) == 0:
        return torch.empty(0, n_pixels // 8, dtype=torch.uint8, device=images.device)
    words = images.contiguous().view(-1).view(torch.int64)
    if bool((words & NOT_BINARY).any()):
        raise ValueError(f"pixels must be 0 or 1, got {int(images.max())}")
    highest = (words * GATHER).view(torch.uint8)[7::8]
    return highest.reshape(len(images), n_pixels // 8)


def unpack_images(
    bits: UInt8[Tensor, "N bytes"], image_shape: tuple[int, int, int]
) -> UInt8[Tensor, "N C H W"]:
    """Return the images of 0 and 1 that `pack_images` packed.

    Raises:
        ValueError: rows whose length does not fit the shape.
    """
    n_pixels = math.prod(image_shape)
    _require_whole_bytes(n_pixels)
    if bits.shape[1] * 8 != n_pixels:
        raise ValueError(f"{image_shape} images need {n_pixels // 8} bytes, got {bits.shape[1]}")
    words = _pixels_of_byte(bits.device)[bits.long()]  # (N, bytes), eight pixels per word
    return words.view(torch.uint8).view(len(bits), *image_shape)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedDataset(FactorDataset):
    """A dataset of binary images, all held in memory as bits on one device."""

    name: str
    """Name to print beside results."""
    factor_names: tuple[str, ...]
    """Factors, slowest first."""
    factor_sizes: tuple[int, ...]
    """Number of classes of each factor."""
    factor_values: tuple[tuple[float, ...], ...]
    """Physical value of each class of each factor."""
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    bits: UInt8[Tensor, "N bytes"]
    """All images in the fixed order, packed by `pack_images`."""
    max_value: int = 1
    """Largest pixel value; bits hold nothing above 1."""

    def __post_init__(self) -> None:
        expected = (math.prod(self.factor_sizes), math.prod(self.image_shape) // 8)
        if tuple(self.bits.shape) != expected:
            raise ValueError(f"bits need shape {expected}, got {tuple(self.bits.shape)}")
        if self.max_value != 1:
            raise ValueError(f"max_value of packed images must be 1, got {self.max_value}")

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 and 1."""
        self.require_indices(index)
        rows = self.bits[index.to(self.bits.device)].to(index.device)
        return unpack_images(rows, self.image_shape)


def with_bits(description: Description, bits: UInt8[Tensor, "N bytes"]) -> PackedDataset:
    """Return the dataset of this description whose images are these bits.

    Raises:
        ValueError: bits of another number of images, or of another image size.
    """
    return PackedDataset(
        name=description.name,
        factor_names=description.factor_names,
        factor_sizes=description.factor_sizes,
        factor_values=description.factor_values,
        image_shape=description.image_shape,
        bits=bits,
    )


def _require_whole_bytes(n_pixels: int) -> None:
    if n_pixels == 0 or n_pixels % 8:
        raise ValueError(f"packed images need a multiple of 8 pixels, got {n_pixels}")


@cache
def _pixels_of_byte(device: torch.device) -> Int64[Tensor, "256"]:
    """Return the eight pixels of every byte, as one little-endian word of eight bytes each."""
    shifts = torch.arange(7, -1, -1, device=device)
    pixels = (torch.arange(256, device=device)[:, None] >> shifts) & 1  # (256, 8)
    return pixels.to(torch.uint8).view(torch.int64)[:, 0]
