"""dSprites: 737,280 binary sprites on a grid of five factors {cite:p}`matthey2017dsprites`.

Two sources behind one type: `rendered` draws every image by calibrated geometry (no download);
`official` reads the published file. Colour, the sixth official factor, has one class and is left
out everywhere.
"""

import math
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor
from tqdm import tqdm

from seethrough.data.dsprites_geometry import (
    ellipse_intervals,
    heart_intervals,
    row_words,
    square_intervals,
)
from seethrough.data.factor_dataset import FactorDataset, class_index

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
FACTOR_SIZES = (3, 6, 40, 32, 32)
SHAPES = (square_intervals, ellipse_intervals, heart_intervals)
"""Shape classes 0, 1, 2."""
_CHUNK = 4096


def _linspace(start: float, stop: float, n: int) -> tuple[float, ...]:
    return tuple(start + (stop - start) * i / (n - 1) for i in range(n))


FACTOR_VALUES = (
    (1.0, 2.0, 3.0),
    _linspace(0.5, 1.0, 6),
    _linspace(0.0, 2 * math.pi, 40),
    _linspace(0.0, 1.0, 32),
    _linspace(0.0, 1.0, 32),
)
"""Official values: both ends included, so orientations 0 and 39 are the same picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedDSprites(FactorDataset):
    """dSprites drawn on demand."""

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N 1 64 64"]:
        """Return images by number, 0 background and 1 sprite, on the index's device."""
        return render(self.classes(index))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedDSprites(FactorDataset):
    """dSprites held in memory, one bit per pixel (377 MB)."""

    packed: UInt8[Tensor, "N 512"]
    """Pixels in rows, eight to a byte, the first in the highest bit."""

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N 1 64 64"]:
        """Return images by number, 0 background and 1 sprite, on the index's device."""
        self.classes(index)  # refuses numbers out of range
        return unpack(self.packed[index.to(self.packed.device)].to(index.device))


def load(source: str = "rendered", path: str | Path | None = None) -> FactorDataset:
    """Return dSprites from our renderer, or from the published npz at `path`.

    Raises ValueError for another source, for a path that is missing or not wanted, and (in
    seethrough.data.dsprites_official) for a file that fails a check.
    """
    match source:
        case "rendered":
            if path is not None:
                raise ValueError(f"path is {str(path)!r}, allowed is a path for 'official' only")
            return RenderedDSprites(name="dSprites (re-rendered)", **_SHARED)
        case "official":
            if path is None:
                raise ValueError("path is None, allowed for 'official' is the published npz")
            from seethrough.data.dsprites_official import read_official

            return PackedDSprites(name="dSprites (official)", packed=read_official(path), **_SHARED)
    raise ValueError(f"source is {source!r}, allowed are 'rendered' and 'official'")


_SHARED = {
    "factor_names": FACTOR_NAMES,
    "factor_values": FACTOR_VALUES,
    "image_shape": (1, 64, 64),
    "max_value": 1,
}


def render(factor_classes: Int64[Tensor, "N 5"]) -> UInt8[Tensor, "N 1 64 64"]:
    """Return the images of factor classes (shape, scale, orientation, posX, posY).

    Values are 0 and 1, on the classes' device. Raises IndexError for a class that is not there.
    """
    return unpack(render_packed(factor_classes))


def render_packed(factor_classes: Int64[Tensor, "N 5"]) -> UInt8[Tensor, "N 512"]:
    """Return the images of factor classes as bits, eight pixels to a byte, first pixel highest."""
    class_index(factor_classes, FACTOR_NAMES, FACTOR_SIZES)  # refuses classes out of range
    device = factor_classes.device
    words = torch.zeros(len(factor_classes), 64, dtype=torch.int64, device=device)
    rows = torch.arange(64, dtype=torch.float64, device=device)
    for shape, intervals in enumerate(SHAPES):
        members = (factor_classes[:, 0] == shape).nonzero()[:, 0]
        for chunk in members.split(_CHUNK):
            scale, angle, x, y = _geometry(factor_classes[chunk, 1:])
            dy = rows - y[:, None]
            ends = intervals(scale[:, None].expand_as(dy), angle[:, None].expand_as(dy), dy)
            words[chunk] = row_words(ends, x[:, None].expand_as(dy))
    return _bytes(words)


def render_all_packed() -> UInt8[Tensor, "737280 512"]:
    """Return all images in the official order as bits (377 MB), on the CPU.

    Uses that a row's intervals do not depend on posX: one cut serves 32 images.
    """
    packed = torch.empty(3, 6, 40, 32, 32, 512, dtype=torch.uint8)
    rows = torch.arange(64, dtype=torch.float64)
    centers = 15.5 + 32 * torch.tensor(FACTOR_VALUES[3], dtype=torch.float64)
    dy = (rows - centers[:, None]).expand(40, 32, 64)  # [orientation posY row]
    angle = torch.tensor(FACTOR_VALUES[2], dtype=torch.float64)[:, None, None].expand_as(dy)
    groups = [(shape, scale) for shape in range(3) for scale in range(6)]
    for shape, scale in tqdm(groups, desc="rendering dSprites", unit="group", file=sys.stderr):
        ends = SHAPES[shape](torch.full_like(dy, FACTOR_VALUES[1][scale]), angle, dy)
        for x, center in enumerate(centers):
            packed[shape, scale, :, x] = _bytes(row_words(ends, center.expand_as(dy)))
    return packed.reshape(-1, 512)


def unpack(packed: UInt8[Tensor, "N 512"]) -> UInt8[Tensor, "N 1 64 64"]:
    """Return images of 0 and 1 from bits, the first pixel in the highest bit."""
    shifts = torch.arange(7, -1, -1, dtype=torch.uint8, device=packed.device)
    return ((packed[..., None] >> shifts) & 1).reshape(-1, 1, 64, 64)


def _geometry(classes: Int64[Tensor, "N 4"]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Scale, angle and centre (x, y) in pixels, float64 [N] each."""
    values = [
        torch.tensor(FACTOR_VALUES[factor + 1], dtype=torch.float64, device=classes.device)[
            classes[:, factor]
        ]
        for factor in range(4)
    ]
    scale, angle, pos_x, pos_y = values
    return scale, angle, 15.5 + 32 * pos_x, 15.5 + 32 * pos_y


def _bytes(words: Int64[Tensor, "*N 64"]) -> UInt8[Tensor, "*N 512"]:
    """Eight bytes per row, the highest first, whatever the machine's byte order."""
    shifts = torch.arange(56, -8, -8, device=words.device)
    return ((words[..., None] >> shifts) & 255).to(torch.uint8).flatten(-2)
