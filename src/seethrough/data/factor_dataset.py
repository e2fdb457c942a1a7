"""Datasets whose images are all combinations of known factors, in one fixed order."""

import math
from abc import ABC, abstractmethod
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor


@runtime_checkable
class Description(Protocol):
    """What is known of a factor dataset without its images (see `FactorDataset`)."""

    @property
    def name(self) -> str:
        """Return the name to print beside results."""

    @property
    def factor_names(self) -> tuple[str, ...]:
        """Return the factors, slowest first."""

    @property
    def factor_sizes(self) -> tuple[int, ...]:
        """Return the number of classes of each factor."""

    @property
    def factor_values(self) -> tuple[tuple[float, ...], ...]:
        """Return the physical value of each class of each factor."""

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Return channels, height, width."""


class FactorDataset(ABC):
    """Every combination of F factors once, the last factor changing fastest.

    Symbols: N images asked for, F factors. An index is a position in the fixed order, from 0 to
    len - 1; classes are one whole number per factor, from 0 to its size - 1.
    """

    name: str
    """Name to print beside results, with where the images come from."""
    factor_names: tuple[str, ...]
    """Factors, slowest first."""
    factor_sizes: tuple[int, ...]
    """Number of classes of each factor."""
    factor_values: tuple[tuple[float, ...], ...]
    """Physical value of each class of each factor."""
    image_shape: tuple[int, int, int]
    """Channels, height, width."""
    max_value: int
    """Largest pixel value: 1 for binary sprites, 255 for colour images."""

    @abstractmethod
    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to max_value.

        Raises:
            IndexError: an index below 0 or at or above the number of images.
        """

    def __len__(self) -> int:
        return math.prod(self.factor_sizes)

    def classes(self, index: Int64[Tensor, " N"]) -> Int64[Tensor, "N F"]:
        """Return the factor classes at these indices.

        Raises:
            IndexError: an index below 0 or at or above the number of images.
        """
        self.require_indices(index)
        return index[:, None] // self._strides(index) % self._sizes(index)

    def index(self, classes: Int64[Tensor, "N F"]) -> Int64[Tensor, " N"]:
        """Return the indices of these factor classes; inverse of `classes`.

        Raises:
            ValueError: rows of a length other than F, or a class outside its factor.
        """
        require_classes(classes, self.factor_names, self.factor_sizes)
        return (classes * self._strides(classes)).sum(dim=1)

    def require_indices(self, index: Int64[Tensor, " N"]) -> None:
        """Raise IndexError unless every index lies from 0 to len - 1."""
        if len(index) == 0:
            return
        low, high = (int(end) for end in torch.aminmax(index))
        if low < 0 or high >= len(self):
            wrong = low if low < 0 else high
            raise IndexError(f"image indices run from 0 to {len(self) - 1}, got {wrong}")

    def _sizes(self, like: Tensor) -> Int64[Tensor, " F"]:
        return torch.tensor(self.factor_sizes, device=like.device)

    def _strides(self, like: Tensor) -> Int64[Tensor, " F"]:
        after = [math.prod(self.factor_sizes[f + 1 :]) for f in range(len(self.factor_sizes))]
        return torch.tensor(after, device=like.device)


def require_classes(
    classes: Int64[Tensor, "N F"], names: tuple[str, ...], sizes: tuple[int, ...]
) -> None:
    """Raise ValueError unless each column holds classes of its factor.

    The message names the factor, the value and the allowed range.
    """
    if classes.shape[1] != len(sizes):
        raise ValueError(
            f"factor classes need {len(sizes)} columns ({', '.join(names)}), got {classes.shape[1]}"
        )
    if len(classes) == 0:
        return
    lows, highs = (ends.tolist() for ends in torch.aminmax(classes, dim=0))
    for name, size, low, high in zip(names, sizes, lows, highs, strict=True):
        if low < 0 or high >= size:
            wrong = low if low < 0 else high
            raise ValueError(f"{name} classes run from 0 to {size - 1}, got {wrong}")
