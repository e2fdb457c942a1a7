"""dSprites, re-rendered from the geometry of its sprites.

The renderer samples each sprite at pixel centres, without antialiasing. x points right and y down,
pixels are numbered 0 to 63, and the sprite's centre lies at 15.5 + 32 pos in each direction. With
(dx, dy) the offset of a pixel from the centre, the pixel in the sprite's own frame is

    u = (cos(orientation) dx - sin(orientation) dy) / scale
    v = (sin(orientation) dx + cos(orientation) dy) / scale

and it is 1 if (u, v) lies inside the shape's outline. Outlines, sizes, the centre and the sense of
rotation were fitted to frames of the published animation (matthey2017dsprites); the images are
close to the published ones but not the same, so this source is always named "re-rendered".

Symbols: N images; classes as in `dsprites_factors`.
"""

import math
import sys
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from torch import Tensor
from tqdm import tqdm

from seethrough.data.dsprites_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    IMAGE_SHAPE,
)
from seethrough.data.factor_dataset import FactorDataset, require_classes
from seethrough.data.packed_images import PackedDataset, pack_images, with_bits

RENDERED_NAME = "dSprites (re-rendered)"

# Pixels, at scale 1.
SQUARE_HALF_SIDE = 9.6
ELLIPSE_SEMI_AXES = (12.8, 7.2)
HEART_HALF_WIDTH = 9.6
HEART_HEIGHT_FACTOR = 0.662
HEART_SHIFT = -1.44

# From Python's own functions, so that every device draws with the same numbers.
COSINES = tuple(math.cos(angle) for angle in FACTOR_VALUES[2])
SINES = tuple(math.sin(angle) for angle in FACTOR_VALUES[2])

FIRST_CENTRE = 15.5
CENTRE_SPAN = 32.0
# No sprite reaches further than this from its centre (the square's corner: 13.58), so a window of
# 28 pixels holds it, and the window never leaves the image.
REACH = 13.6
WINDOW = 28

# Images rendered at once. On a CPU arrays that stay in cache, and below the 32,768 elements at
# which torch splits an operation over threads: that gains little at this size, and costs a
# hundredfold when other processes keep the cores busy.
CHUNK_CPU = 32
CHUNK_DEVICE = 8192
# Images rendered between two packings when all are rendered.
PACKING_CHUNK = 4096


def render(factor_classes: Int64[Tensor, "N 5"]) -> UInt8[Tensor, "N 1 64 64"]:
    """Return the images of these factor classes, pixels 0 and 1, on the same device.

    The columns are shape, scale, orientation, posX, posY. Computed in float64, in chunks: the
    memory beyond the result does not grow with N.

    >>> int(render(torch.tensor([[0, 0, 0, 0, 0]])).sum())  # a square of side 9.6
    100

    Raises:
        ValueError: a class outside its factor.
    """
    require_classes(factor_classes, FACTOR_NAMES, FACTOR_SIZES)
    images = torch.zeros(
        len(factor_classes), *IMAGE_SHAPE, dtype=torch.uint8, device=factor_classes.device
    )
    chunk = CHUNK_CPU if images.device.type == "cpu" else CHUNK_DEVICE
    # Loops over the three outlines and over chunks of their images.
    for shape, contains in enumerate((square_contains, ellipse_contains, heart_contains)):
        rows = (factor_classes[:, 0] == shape).nonzero()[:, 0]
        for some in torch.split(rows, chunk):
            _draw(images, some, factor_classes[some], contains)
    return images


def square_contains(u: Float64[Tensor, "*P"], v: Float64[Tensor, "*P"]) -> Bool[Tensor, "*P"]:
    """Return which points lie in the square of half side 9.6, edge included."""
    return torch.maximum(u.abs(), v.abs()) <= SQUARE_HALF_SIDE


def ellipse_contains(u: Float64[Tensor, "*P"], v: Float64[Tensor, "*P"]) -> Bool[Tensor, "*P"]:
    """Return which points lie in the ellipse of semi-axes 12.8 (u) and 7.2 (v), edge included."""
    along_u, along_v = ELLIPSE_SEMI_AXES
    return (u / along_u).square() + (v / along_v).square() <= 1


def heart_contains(u: Float64[Tensor, "*P"], v: Float64[Tensor, "*P"]) -> Bool[Tensor, "*P"]:
    """Return which points lie in the heart, edge included.

    The outline is u = 9.6 sin^3 t, v = -0.662 (13 cos t - 5 cos 2t - 2 cos 3t - cos 4t) - 1.44.
    A line of constant u meets it at t and pi - t alone, which share q = sin^2 t = (|u| / 9.6)^(2/3)
    and differ in the sign of cos t. Splitting v into the part even and the part odd in cos t,

        inside: (v - middle)^2 <= half^2,
        middle = 0.662 (6 - 18 q + 8 q^2) - 1.44,    half^2 = 0.662^2 (1 - q) (11 + 8 q)^2.

    Beyond the width, q > 1, half^2 is negative and the comparison false.
    """
    # In place where a value is not needed again: memory traffic is most of the cost.
    q = u.abs().div_(HEART_HALF_WIDTH).pow_(2 / 3)
    middle = q.mul(8).sub_(18).mul_(q).add_(6).mul_(HEART_HEIGHT_FACTOR).add_(HEART_SHIFT)
    half_squared = q.mul(8).add_(11).mul_(HEART_HEIGHT_FACTOR).square_().mul_(1 - q)
    return middle.sub_(v).square_() <= half_squared


class RenderedDsprites(FactorDataset):
    """dSprites drawn on demand; holds no images."""

    name = RENDERED_NAME
    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES
    factor_values = FACTOR_VALUES
    image_shape = IMAGE_SHAPE
    max_value = 1

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 and 1."""
        return render(self.classes(index))


def render_all_packed(device: torch.device | str = "cpu") -> PackedDataset:
    """Return all 737,280 images, rendered now and held as bits on `device`: 377 MB.

    A progress bar goes to standard error when that is a terminal.
    """
    rendered = RenderedDsprites()
    index = torch.arange(len(rendered), device=device)
    n_bytes = math.prod(IMAGE_SHAPE) // 8
    bits = torch.empty(len(rendered), n_bytes, dtype=torch.uint8, device=device)
    with tqdm(total=len(index), unit="image", file=sys.stderr, disable=None) as bar:
        for some in torch.split(index, PACKING_CHUNK):
            bits[some] = pack_images(rendered.images(some))
            bar.update(len(some))
    return with_bits(rendered, bits)


def _draw(
    images: UInt8[Tensor, "all 1 64 64"],
    rows: Int64[Tensor, " N"],
    factor_classes: Int64[Tensor, "N 5"],
    contains: Callable[[Tensor, Tensor], Tensor],
) -> None:
    """Set the sprites of one shape in the given rows of `images`, which are 0."""
    _, scale, orientation, pos_x, pos_y = factor_classes.unbind(dim=1)
    left, dx = _window(_look_up(FACTOR_VALUES[3], pos_x))
    top, dy = _window(_look_up(FACTOR_VALUES[4], pos_y))
    size = _look_up(FACTOR_VALUES[1], scale)
    along = (_look_up(COSINES, orientation) / size)[:, None]
    across = (_look_up(SINES, orientation) / size)[:, None]
    u = (along * dx)[:, None, :] - (across * dy)[:, :, None]  # (N, window y, window x)
    v = (across * dx)[:, None, :] + (along * dy)[:, :, None]
    height, width = IMAGE_SHAPE[1:]
    steps = torch.arange(WINDOW, device=rows.device)
    first = rows * (height * width) + top * width + left
    pixels = first[:, None, None] + (steps[:, None] * width + steps)  # (N, window y, window x)
    images.view(-1).scatter_(0, pixels.view(-1), contains(u, v).view(-1).to(torch.uint8))


def _look_up(table: tuple[float, ...], factor_class: Int64[Tensor, " N"]) -> Float64[Tensor, " N"]:
    return torch.tensor(table, dtype=torch.float64, device=factor_class.device)[factor_class]


def _window(
    position: Float64[Tensor, " N"],
) -> tuple[Int64[Tensor, " N"], Float64[Tensor, "N window"]]:
    """Return the first pixel of the window and the offsets of its pixels from the centre."""
    centre = FIRST_CENTRE + CENTRE_SPAN * position
    first = (centre - REACH).ceil()
    steps = torch.arange(WINDOW, dtype=torch.float64, device=position.device)
    return first.long(), first[:, None] + steps - centre[:, None]
