"""How a picture becomes a classifier's input: shorter side, centre, normalisation.

The steps and their rounding are those of timm's evaluation transform with a centre crop, so that
published weights see what they were evaluated on: the shorter side is resized to
floor(size / crop fraction), the longer in proportion and rounded down, and the margin cut off at
the top and left is half of what is too much, a half rounded to the even number. No network and no
timm are needed.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
INTERPOLATIONS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
"""Name to Pillow's filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The evaluation transform of one classifier.

    >>> Preprocessing(size=4, crop_fraction=1.0).pixels(Image.new("RGB", (8, 6))).shape
    torch.Size([3, 4, 4])
    """

    size: int = 224
    """Rows and columns of the classifier's input, pixels."""
    crop_fraction: int | float | None = 0.875
    """Share of the resized shorter side that the centre crop keeps, above 0 and at most 1. None: no
    resizing, the centre is cut out of the picture as it is, a half in the margin rounded down."""
    interpolation: str = "bicubic"
    """Filter of the resizing, a key of INTERPOLATIONS."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Subtracted from red, green and blue in [0, 1]."""
    std: tuple[float, float, float] = IMAGENET_STD
    """Divides the differences, above 0."""

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"size is {self.size}, allowed is at least 1")
        if self.crop_fraction is not None and not 0 < self.crop_fraction <= 1:
            raise ValueError(
                f"crop_fraction is {self.crop_fraction}, allowed is None or above 0 and at most 1"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation is {self.interpolation!r}, allowed are {', '.join(INTERPOLATIONS)}"
            )
        if not all(s > 0 for s in self.std):
            raise ValueError(f"std is {self.std}, allowed is above 0 in every channel")

    def pixels(self, image: Image.Image) -> UInt8[Tensor, "3 H W"]:
        """Return the resized and cropped picture as red, green and blue, 0 to 255.

        Raises ValueError for a picture smaller than the crop where nothing is resized.
        """
        image = self._crop(self._resize(image.convert("RGB")))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, H, W)

    def normalise(self, pixels: UInt8[Tensor, "N 3 H W"]) -> Float[Tensor, "N 3 H W"]:
        """Return the classifier's input, (pixels / 255 - mean) / std, on the pixels' device."""
        mean, std = (pixels.new_tensor(v, dtype=torch.float32) for v in (self.mean, self.std))
        return pixels.float().div(255).sub(mean.view(3, 1, 1)).div(std.view(3, 1, 1))

    def _resize(self, image: Image.Image) -> Image.Image:
        if self.crop_fraction is None:
            return image
        shorter = math.floor(self.size / self.crop_fraction)
        longer = int(shorter * max(image.size) / min(image.size))
        wanted = (shorter, longer) if image.width <= image.height else (longer, shorter)
        if image.size == wanted:
            return image
        return image.resize(wanted, INTERPOLATIONS[self.interpolation])

    def _crop(self, image: Image.Image) -> Image.Image:
        if min(image.size) < self.size:
            raise ValueError(
                f"a picture of {image.width} x {image.height} pixels is smaller than the crop: "
                f"allowed is at least {self.size} x {self.size}, or a crop_fraction, which resizes"
            )
        margins = (image.width - self.size, image.height - self.size)
        halves = round if self.crop_fraction is not None else math.floor
        left, top = (halves(margin / 2) for margin in margins)
        return image.crop((left, top, left + self.size, top + self.size))
