"""The ladder between dSprites and 3D Shapes: each variant changes one thing of a data set.

Every variant wraps a data set, maps its own index to the wrapped one and computes images when they
are asked for. dSprites, in one colour, is dSprites with three channels and other pixel statistics;
hued, it has hue as a sixth factor. 3D Shapes in grey has one channel; with one floor it has five
factors.

Symbols: N images; C channels, H rows, W columns.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from seethrough.data.factor_dataset import FactorDataset
from seethrough.data.shapes3d_factors import HUES

Colour = tuple[int, int, int]

HUE_COLOURS: tuple[Colour, ...] = (
    (255, 0, 0),
    (255, 153, 0),
    (204, 255, 0),
    (51, 255, 0),
    (0, 255, 102),
    (0, 255, 255),
    (0, 102, 255),
    (51, 0, 255),
    (204, 0, 255),
    (255, 0, 153),
)
"""Red, green and blue of the hues of 3D Shapes, at full saturation and value, 0 to 255."""

SPRITE_COLOUR: Colour = HUE_COLOURS[0]
# The sky of 3D Shapes.
BACKGROUND_COLOUR: Colour = (153, 226, 249)

# Thousandths of red, green and blue in the luma of Rec. 601.
LUMA_WEIGHTS = (299, 587, 114)


class OneColourSprites(FactorDataset):
    """Binary sprites in red on a fixed light blue: three channels, the same factors and index."""

    max_value = 255

    def __init__(self, sprites: FactorDataset) -> None:
        _require_binary(sprites)
        self.sprites = sprites
        self.name = f"{sprites.name}, one colour"
        self.factor_names = sprites.factor_names
        self.factor_sizes = sprites.factor_sizes
        self.factor_values = sprites.factor_values
        self.image_shape = (3, *sprites.image_shape[1:])

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255."""
        inside = self.sprites.images(index).bool()  # (N, 1, H, W)
        return torch.where(
            inside, _colours([SPRITE_COLOUR], index), _colours([BACKGROUND_COLOUR], index)
        )


class HuedSprites(FactorDataset):
    """Binary sprites in one of ten hues on black; hue is the slowest factor.

    Index h * len(sprites) + i is sprite i in hue h / 10.
    """

    max_value = 255

    def __init__(self, sprites: FactorDataset) -> None:
        _require_binary(sprites)
        self.sprites = sprites
        self.name = f"{sprites.name}, ten hues"
        self.factor_names = ("hue", *sprites.factor_names)
        self.factor_sizes = (len(HUES), *sprites.factor_sizes)
        self.factor_values = (HUES, *sprites.factor_values)
        self.image_shape = (3, *sprites.image_shape[1:])

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255."""
        self.require_indices(index)
        hue = index // len(self.sprites)
        inside = self.sprites.images(index % len(self.sprites))  # (N, 1, H, W)
        return inside * _colours(HUE_COLOURS, index)[hue]


class GreyImages(FactorDataset):
    """The luma of colour images in one channel: the same factors and index.

    Luma is 0.299 red + 0.587 green + 0.114 blue (Rec. 601), rounded to whole numbers, halves up.
    Ten pure hues give ten different greys: 44, 76, 89, 90, 94, 161, 165, 166, 179, 211. To a reader
    that needs five levels they are six, since blue, violet and pink (0.6, 0.8, 0.9) are nearly one
    grey, and so are orange and two greens (0.1, 0.3, 0.4). The same holds for lit surfaces, whose
    nearest hues are one level apart on average.
    """

    max_value = 255

    def __init__(self, colour: FactorDataset) -> None:
        if colour.image_shape[0] != 3:
            raise ValueError(f"luma needs 3 channels, {colour.name} has {colour.image_shape[0]}")
        self.colour = colour
        self.name = f"{colour.name}, grey"
        self.factor_names = colour.factor_names
        self.factor_sizes = colour.factor_sizes
        self.factor_values = colour.factor_values
        self.image_shape = (1, *colour.image_shape[1:])

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255."""
        return luma(self.colour.images(index))


class OneFloorImages(FactorDataset):
    """3D Shapes with a red floor only: floor_hue, the slowest factor, stays at its first class.

    The images are the first of the wrapped data set, so the index is the same.
    """

    def __init__(self, shapes: FactorDataset) -> None:
        if shapes.factor_names[0] != "floor_hue":
            raise ValueError(
                f"the slowest factor must be floor_hue, {shapes.name} has {shapes.factor_names[0]}"
            )
        self.shapes = shapes
        self.name = f"{shapes.name}, one floor"
        self.factor_names = shapes.factor_names[1:]
        self.factor_sizes = shapes.factor_sizes[1:]
        self.factor_values = shapes.factor_values[1:]
        self.image_shape = shapes.image_shape
        self.max_value = shapes.max_value

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255."""
        self.require_indices(index)
        return self.shapes.images(index)


def luma(images: UInt8[Tensor, "N 3 H W"]) -> UInt8[Tensor, "N 1 H W"]:
    """Return 0.299 red + 0.587 green + 0.114 blue, rounded to whole numbers, halves up.

    Computed in whole numbers, so that every device gives the same.

    >>> luma(torch.tensor([255, 153, 0], dtype=torch.uint8).view(1, 3, 1, 1)).item()
    166
    """
    # One channel after another: a third of the memory of all at once.
    thousandths = torch.zeros_like(images[:, :1], dtype=torch.int32)
    for channel, weight in enumerate(LUMA_WEIGHTS):
        thousandths += weight * images[:, channel : channel + 1].int()
    return ((thousandths + 500) // 1000).to(torch.uint8)


def _colours(colours: Sequence[Colour], like: Tensor) -> UInt8[Tensor, "n 3 1 1"]:
    return torch.tensor(colours, dtype=torch.uint8, device=like.device)[:, :, None, None]


def _require_binary(sprites: FactorDataset) -> None:
    if sprites.image_shape[0] != 1 or sprites.max_value != 1:
        raise ValueError(
            f"sprites must be binary in one channel, {sprites.name} has "
            f"{sprites.image_shape[0]} channels with values up to {sprites.max_value}"
        )
