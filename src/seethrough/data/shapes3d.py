"""3D Shapes, re-rendered by casting rays, or read from the published file.

Rays are cast once per scale, shape and orientation, 480 geometries, on a grid of 192 x 192 samples
(see `shapes3d_scene`). A sample's value in one colour channel is clip(light colour + gloss, 0, 1),
and the image is the Lanczos-3 average of the samples. The channels of the ten hues take only six
levels, 0, 0.2, ..., 1, and the average is linear, so each channel of an image is a sum of four
stored maps: floor at its level, wall at its level, object at its level, and sky.

Camera, sizes and light were fitted to published images (burgess2018shapes3d); the images are close
to the published ones but not the same, so this source is always named "re-rendered". The faint
texture of floor and walls is left out. Against 12 images held out of the last fit, the mean
absolute error is 0.90 of 255 and edges are shifted by 0.02 pixels in the median (see
`shapes3d_calibration`).

Symbols: N images; classes as in `shapes3d_factors`; L = 6 levels.
"""

import colorsys
import functools
import math

import torch
from jaxtyping import Bool, Float, Float64, Int16, Int64, UInt8
from torch import Tensor

from seethrough.data.factor_dataset import FactorDataset, require_classes
from seethrough.data.shapes3d_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    HUES,
    IMAGE_SHAPE,
)
from seethrough.data.shapes3d_scene import FLOOR, OBJECT, SKY, WALL, Scene, trace
from seethrough.training.device import thread_count

RENDERED_NAME = "Shapes3D (re-rendered)"
SKY_COLOUR = (153, 226, 249)

N_SAMPLES = 192
"""Rays along each side of the image, three per pixel."""
LANCZOS_LOBES = 3
N_LEVELS = 6
# Channels of each hue at full saturation and value, in steps of 0.2.
HUE_LEVELS = tuple(
    tuple(round(5 * channel) for channel in colorsys.hsv_to_rgb(hue, 1, 1)) for hue in HUES
)

# Maps hold multiples of 1/64 grey level, so that a sum of four rounds to the right level.
BITS_BELOW_ONE = 6
# Maps of one geometry: floor, wall and object at each level, then sky in three channels.
LIT_SURFACES = (FLOOR, WALL, OBJECT)
N_MAPS = len(LIT_SURFACES) * N_LEVELS + 3
N_PIXELS = IMAGE_SHAPE[1] * IMAGE_SHAPE[2]
N_GEOMETRIES = math.prod(FACTOR_SIZES[3:])
"""Scales x shapes x orientations."""

# Images whose maps are looked up at once, and images composed at once. On a CPU arrays that stay
# in cache, and below the 32,768 elements at which torch splits an operation over threads: that
# gains little at this size, and costs a hundredfold when other processes keep the cores busy.
BLOCK_CPU = (2048, 2)
BLOCK_DEVICE = (4096, 4096)


def render(factor_classes: Int64[Tensor, "N 6"]) -> UInt8[Tensor, "N 3 64 64"]:
    """Return the images of these factor classes, values 0 to 255, on the same device.

    The columns are floor_hue, wall_hue, object_hue, scale, shape, orientation. Rays of a geometry
    are cast when it is first asked for, on the CPU, so that every device gives the same images;
    all 480 take a few seconds, and 83 MB on each device that draws.

    >>> render(torch.tensor([[0, 1, 5, 2, 0, 0]]))[0, :, 0, 0].tolist()  # sky
    [153, 226, 249]

    Raises:
        ValueError: a class outside its factor.
    """
    require_classes(factor_classes, FACTOR_NAMES, FACTOR_SIZES)
    device = factor_classes.device
    images = torch.empty(len(factor_classes), *IMAGE_SHAPE, dtype=torch.uint8, device=device)
    block, chunk = BLOCK_CPU if device.type == "cpu" else BLOCK_DEVICE
    # Loops over blocks of images and their chunks.
    for first in range(0, len(images), block):
        geometries, rows = _map_rows(factor_classes[first : first + block])
        maps = _maps_with(geometries)
        for begin in range(0, rows.shape[1], chunk):
            few = _compose(maps, rows[:, begin : begin + chunk])
            images[first + begin : first + begin + len(few)] = few
    return images


def all_maps() -> Int16[Tensor, "rows pixels"]:
    """Return the maps of all 480 geometries, on the CPU, as `keep_maps` takes them; 83 MB."""
    return _maps_with(torch.arange(N_GEOMETRIES))


def keep_maps(maps: Int16[Tensor, "rows pixels"]) -> None:
    """Draw on the CPU with the maps that `all_maps` returned in another process; casts no rays.

    Raises ValueError for another shape.
    """
    kept, ready = _stored_maps(torch.device("cpu"))
    if maps.shape != kept.shape:
        raise ValueError(f"maps have shape {tuple(maps.shape)}, allowed is {tuple(kept.shape)}")
    kept.copy_(maps)
    ready.fill_(True)


def maps_are_drawn() -> bool:
    """Return whether this process holds the maps of all geometries on the CPU."""
    return bool(_stored_maps(torch.device("cpu"))[1].all())


class RenderedShapes3D(FactorDataset):
    """3D Shapes drawn on demand; holds no images."""

    name = RENDERED_NAME
    factor_names = FACTOR_NAMES
    factor_sizes = FACTOR_SIZES
    factor_values = FACTOR_VALUES
    image_shape = IMAGE_SHAPE
    max_value = 255

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255."""
        return render(self.classes(index))


def geometry_maps(
    scene: Scene, shape: int, scales: Float64[Tensor, " G"], degrees: Float64[Tensor, " G"]
) -> Float[Tensor, "G maps 64 64"]:
    """Return the maps to sum, in grey levels: floor, wall, object at six levels each, and sky."""
    surface, light, gloss = trace(scene, shape, scales, degrees, N_SAMPLES)
    # Rounding in float32 stays far below the step of the stored maps.
    levels = torch.linspace(0, 1, N_LEVELS, device=light.device)[:, None]
    lit = light.float()[:, None] * levels
    lit = lit.add_(gloss.float()[:, None]).clamp_(0, 1)  # (G, level, P)
    values = torch.cat([lit * (surface == one)[:, None] for one in LIT_SURFACES], dim=1)
    sky = average((surface == SKY).float())[:, None]
    colours = sky.new_tensor(SKY_COLOUR)[:, None, None]
    return torch.cat([255 * average(values), sky * colours], dim=1)


def average(values: Float[Tensor, "*G P"]) -> Float[Tensor, "*G 64 64"]:
    """Return the Lanczos-3 average of N_SAMPLES x N_SAMPLES samples around each pixel."""
    weights = _lanczos().to(values)
    square = values.reshape(*values.shape[:-1], N_SAMPLES, N_SAMPLES)
    return torch.matmul(weights, torch.matmul(square, weights.T))


@functools.lru_cache(maxsize=1)
def _lanczos() -> Float64[Tensor, "64 samples"]:
    """Return the weight of each sample of a row in each pixel of the row; they sum to 1."""
    samples = (torch.arange(N_SAMPLES, dtype=torch.float64) + 0.5) * IMAGE_SHAPE[2] / N_SAMPLES
    pixels = torch.arange(IMAGE_SHAPE[2], dtype=torch.float64)[:, None] + 0.5
    offset = samples - pixels
    weights = torch.sinc(offset) * torch.sinc(offset / LANCZOS_LOBES)
    weights[offset.abs() >= LANCZOS_LOBES] = 0.0
    return weights / weights.sum(dim=1, keepdim=True)


def _maps_with(geometries: Int64[Tensor, " N"]) -> Int16[Tensor, "rows pixels"]:
    """Return the maps of all geometries on this device, those of the given ones filled in."""
    maps, ready = _stored_maps(geometries.device)
    # index_select, here and below: indexing with a tensor splits even small work over threads.
    wanted = ready.index_select(0, geometries)
    if wanted.all():
        return maps
    new = sorted(set(geometries[~wanted].tolist()))
    # One thread: arrays are small, and waiting for threads takes minutes where cores are busy.
    with thread_count(1):
        # Loop over geometries: one at a time its arrays stay in cache.
        for geometry in new:
            rows = slice(geometry * N_MAPS, (geometry + 1) * N_MAPS)
            maps[rows] = _fixed_point_maps(geometry).to(maps.device)
            ready[geometry] = True
    return maps


@functools.lru_cache(maxsize=8)
def _stored_maps(
    device: torch.device,
) -> tuple[Int16[Tensor, "rows pixels"], Bool[Tensor, " geometries"]]:
    maps = torch.empty(N_GEOMETRIES * N_MAPS, N_PIXELS, dtype=torch.int16, device=device)
    return maps, torch.zeros(N_GEOMETRIES, dtype=torch.bool, device=device)


def _fixed_point_maps(geometry: int) -> Int16[Tensor, "maps pixels"]:
    scale, rest = divmod(geometry, math.prod(FACTOR_SIZES[4:]))
    shape, turn = divmod(rest, FACTOR_SIZES[5])
    values = ((FACTOR_VALUES[3][scale],), (FACTOR_VALUES[5][turn],))
    scales, degrees = torch.tensor(values, dtype=torch.float64)
    maps = geometry_maps(Scene(), shape, scales, degrees)[0].flatten(1)
    return maps.mul_(1 << BITS_BELOW_ONE).round_().to(torch.int16)


def _map_rows(
    factor_classes: Int64[Tensor, "N 6"],
) -> tuple[Int64[Tensor, " N"], Int64[Tensor, "4 N 3"]]:
    """Return each image's geometry and the maps to sum: floor, wall, object, sky, by channel."""
    floor, wall, thing, scale, shape, turn = factor_classes.unbind(dim=1)
    geometries = (scale * FACTOR_SIZES[4] + shape) * FACTOR_SIZES[5] + turn
    first = (geometries * N_MAPS)[:, None]
    levels = torch.tensor(HUE_LEVELS, device=first.device)
    rows = [
        levels.index_select(0, hue) + first + surface * N_LEVELS
        for surface, hue in enumerate((floor, wall, thing))
    ]
    sky = torch.arange(3, device=first.device) + (N_MAPS - 3)
    return geometries, torch.stack([*rows, sky + first])


def _compose(
    maps: Int16[Tensor, "rows pixels"], rows: Int64[Tensor, "4 N 3"]
) -> UInt8[Tensor, "N 3 64 64"]:
    total, *others = (
        maps.index_select(0, surface.reshape(-1)) for surface in rows
    )  # (3 N, pixels)
    for other in others:
        total += other
    total += 1 << (BITS_BELOW_ONE - 1)
    total >>= BITS_BELOW_ONE
    return total.clamp_(0, 255).to(torch.uint8).view(-1, *IMAGE_SHAPE)
