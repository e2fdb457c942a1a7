"""Attribution maps between their two sizes: by patch and by pixel."""

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


def to_pixels(maps: Float[Tensor, "B h w"], size: tuple[int, int]) -> Float[Tensor, "B H W"]:
    """Return the maps at `size` = (H, W) pixels, upsampled bilinearly (corners not aligned).

    For pictures, and for orders by pixel. Maps of that size already are returned unchanged.

    Raises:
        ValueError: `size` is not a multiple of the maps' size.
    """
    _require_multiple(tuple(maps.shape[1:]), size)
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    return F.interpolate(maps[:, None], size=size, mode="bilinear", align_corners=False)[:, 0]


def to_patches(maps: Float[Tensor, "B H W"], grid: tuple[int, int]) -> Float[Tensor, "B h w"]:
    """Return the maps summed within each patch of a grid of (h, w) patches.

    A sum, so that relevance in a map is neither made nor lost.

    Raises:
        ValueError: the maps' size is not a multiple of `grid`.
    """
    _require_multiple(grid, tuple(maps.shape[1:]))
    rows, columns = maps.shape[1] // grid[0], maps.shape[2] // grid[1]
    patches = maps.reshape(len(maps), grid[0], rows, grid[1], columns)
    return patches.sum(dim=(2, 4))


def _require_multiple(grid: tuple[int, ...], size: tuple[int, ...]) -> None:
    if any(cells < 1 or pixels % cells for cells, pixels in zip(grid, size, strict=True)):
        raise ValueError(f"size {tuple(size)} is no multiple of the grid {tuple(grid)}")
