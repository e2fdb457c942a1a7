"""3D Shapes as a classification task: which shape, of which size, in which hue, under noise.

The class of an image is the combination of three of its six factors: shape (4), scale (8) and
object hue (10), 320 classes in all. Floor, wall and orientation vary freely and tell nothing.
Gaussian noise on every pixel hides the one to three pixels between neighbouring sizes, so that the
task leaves a small network little to spare. Every factor is known, which gives the units of a
classifier what natural images lack: concepts with a ground truth.

Symbols: N images; C = 320 classes.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages
from seethrough.data.shapes3d import RenderedShapes3D
from seethrough.data.shapes3d_factors import FACTOR_NAMES, FACTOR_SIZES, IMAGE_SHAPE
from seethrough.data.shapes3d_objects import object_masks
from seethrough.training.initialise import derive_seed, generator_for

CLASS_FACTORS = ("shape", "scale", "object_hue")
"""Factors that make the class, slowest first."""
SHAPE_NAMES = ("cube", "cylinder", "sphere", "capsule")
NOISE = 0.1
"""Standard deviation of the noise on pixels of 0 to 1."""


class Shapes3DClasses(LabelledImages):
    """Rendered 3D Shapes with noise and 320 classes; holds no images.

    An image's noise depends on its index and the seed alone, so that it is the same in every batch.
    Images are scaled to -1 to 1 before the noise, which is not cut off.
    """

    image_shape = IMAGE_SHAPE

    def __init__(self, noise: float = NOISE, seed: int = 0) -> None:
        """Prepare the task; raise ValueError if the noise is negative or not finite."""
        if not 0 <= noise < float("inf"):
            raise ValueError(f"noise is {noise}, allowed is a finite number from 0")
        self.shapes = RenderedShapes3D()
        self.noise = noise
        self.seed = seed
        self.name = f"{self.shapes.name}, noise {noise:g}"
        self.class_names = tuple(_class_name(number) for number in range(n_classes()))
        self.labels = class_of(self.factor_classes(torch.arange(len(self.shapes))))

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the noisy images at these indices, on the index's device, about -1 to 1."""
        clean = self.clean_images(index)
        if not self.noise:
            return clean
        noise = np.stack([self._noise_of(number) for number in index.tolist()]) if len(index) else 0
        # Pixels span 2 here and 1 in the unit of the noise.
        return clean + 2 * self.noise * torch.as_tensor(noise).to(clean)

    def clean_images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the images without noise, -1 to 1."""
        return self.shapes.images(index).float().div_(127.5).sub_(1)

    def factor_classes(self, index: Int64[Tensor, " N"]) -> Int64[Tensor, "N 6"]:
        """Return the classes of all six factors, in the data set's order."""
        return self.shapes.classes(index)

    def object_masks(self, index: Int64[Tensor, " N"]) -> Bool[Tensor, "N H W"]:
        """Return the pixels of which the object covers at least half, on the CPU."""
        return object_masks(self.factor_classes(index.cpu()))

    def _noise_of(self, index: int) -> np.ndarray:
        stream = np.random.default_rng(derive_seed(self.seed, "noise", index))
        return stream.standard_normal(IMAGE_SHAPE, dtype=np.float32)


def n_classes() -> int:
    """Return C, the number of classes."""
    return int(np.prod([_size(name) for name in CLASS_FACTORS]))


def class_of(factor_classes: Int64[Tensor, "N 6"]) -> Int64[Tensor, " N"]:
    """Return the class of images with these factors; object hue changes fastest.

    >>> class_of(torch.tensor([[9, 9, 3, 0, 1, 0]]))  # a small cylinder in the fourth hue
    tensor([83])
    """
    labels = torch.zeros_like(factor_classes[:, 0])
    for name in CLASS_FACTORS:
        labels = labels * _size(name) + factor_classes[:, FACTOR_NAMES.index(name)]
    return labels


def split(
    n_heldout: int, seed: int = 0
) -> tuple[Int64[Tensor, " train"], Int64[Tensor, " heldout"]]:
    """Return the indices of training and held-out images, in the random order of the seed.

    Held-out images show combinations of all six factors that are in no training image.

    Raises:
        ValueError: a number of held-out images that leaves no other.
    """
    total = int(np.prod(FACTOR_SIZES))
    if not 1 <= n_heldout < total:
        raise ValueError(f"n_heldout is {n_heldout}, allowed is 1 to {total - 1}")
    order = torch.randperm(total, generator=generator_for(seed, "split"))
    return order[n_heldout:], order[:n_heldout]


def _size(name: str) -> int:
    return FACTOR_SIZES[FACTOR_NAMES.index(name)]


def _class_name(number: int) -> str:
    shape, rest = divmod(number, _size("scale") * _size("object_hue"))
    scale, hue = divmod(rest, _size("object_hue"))
    return f"{SHAPE_NAMES[shape]}, size {scale + 1}, hue {hue}"
