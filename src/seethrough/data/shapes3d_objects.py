"""Where the object is in an image of 3D Shapes."""

import functools
import math

import torch
from jaxtyping import Bool, Int64
from torch import Tensor
from torch.nn.functional import avg_pool2d

from seethrough.data.factor_dataset import require_classes
from seethrough.data.shapes3d import N_SAMPLES
from seethrough.data.shapes3d_factors import FACTOR_NAMES, FACTOR_SIZES, FACTOR_VALUES, IMAGE_SHAPE
from seethrough.data.shapes3d_scene import OBJECT, Scene, trace
from seethrough.training.device import thread_count


def object_masks(factor_classes: Int64[Tensor, "N 6"]) -> Bool[Tensor, "N 64 64"]:
    """Return the pixels of which the object covers at least half, on the CPU.

    The object's share of a pixel is the mean over its nine samples; its shadow is not part of it.

    Raises:
        ValueError: a class outside its factor.
    """
    require_classes(factor_classes, FACTOR_NAMES, FACTOR_SIZES)
    places = [tuple(row) for row in factor_classes[:, 3:].tolist()]
    masks = [_object_mask(*place) for place in places]
    return torch.stack(masks) if masks else torch.zeros(0, *IMAGE_SHAPE[1:], dtype=torch.bool)


@functools.lru_cache(maxsize=math.prod(FACTOR_SIZES[3:]))
def _object_mask(scale: int, shape: int, turn: int) -> Bool[Tensor, "64 64"]:
    values = ((FACTOR_VALUES[3][scale],), (FACTOR_VALUES[5][turn],))
    scales, degrees = torch.tensor(values, dtype=torch.float64)
    # One thread: the arrays are small, and waiting for threads takes long where cores are busy.
    with thread_count(1):
        surface, _, _ = trace(Scene(), shape, scales, degrees, N_SAMPLES)
    rays = (surface[0] == OBJECT).double().view(1, N_SAMPLES, N_SAMPLES)
    return avg_pool2d(rays, N_SAMPLES // IMAGE_SHAPE[2])[0] >= 0.5
