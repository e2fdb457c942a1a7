"""Images that are a full grid over known factors, numbered in the official order."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from math import prod

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorDataset(ABC):
    """One image per combination of factor classes, the last factor running fastest."""

    name: str
    """What to call the data in text: `dSprites (re-rendered)`, `dSprites (official)`."""
    factor_names: tuple[str, ...]
    """Names of the varying factors, in the official order."""
    factor_values: tuple[tuple[float, ...], ...]
    """Value of every class of every factor, as in the official file."""
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    max_value: int
    """Pixel value of full brightness: 1 or 255."""

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """Return the number of classes of every factor."""
        return tuple(len(values) for values in self.factor_values)

    def __len__(self) -> int:
        """Return the number of images."""
        return prod(self.factor_sizes)

    def classes(self, index: Int64[Tensor, " N"]) -> Int64[Tensor, "N F"]:
        """Return the factor classes of images; IndexError outside 0 .. len - 1."""
        _check_range(index, len(self), "image index")
        return torch.stack(torch.unravel_index(index, self.factor_sizes), dim=1)

    def index(self, classes: Int64[Tensor, "N F"]) -> Int64[Tensor, " N"]:
        """Return the image numbers of factor classes; IndexError for a class that is not there."""
        return class_index(classes, self.factor_names, self.factor_sizes)

    @abstractmethod
    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return images by number, values 0 to `max_value`, on the index's device."""


def class_index(
    classes: Int64[Tensor, "N F"], names: tuple[str, ...], sizes: tuple[int, ...]
) -> Int64[Tensor, " N"]:
    """Return the number of each combination in a grid whose last factor runs fastest.

    Raises ValueError for another number of factors and IndexError for a class out of range.
    """
    if classes.shape[1] != len(sizes):
        raise ValueError(f"got {classes.shape[1]} factors, allowed are {len(sizes)}: {names}")
    number = torch.zeros_like(classes[:, 0])
    for factor, (name, size) in enumerate(zip(names, sizes, strict=True)):
        _check_range(classes[:, factor], size, f"class of {name}")
        number = number * size + classes[:, factor]
    return number


def _check_range(values: Tensor, size: int, what: str) -> None:
    if values.numel() and not (0 <= int(values.min()) and int(values.max()) < size):
        wrong = values[(values < 0) | (values >= size)][0]
        raise IndexError(f"{what} is {int(wrong)}, allowed is 0 to {size - 1}")
