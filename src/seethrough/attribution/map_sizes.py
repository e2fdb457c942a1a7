"""Attribution maps between their two sizes: by patch and by pixel."""

import torch
from jaxtyping import Float
from torch import Tensor


def to_pixels(maps: Float[Tensor, "B h w"], size: tuple[int, int]) -> Float[Tensor, "B H W"]:
    """Return the maps at `size` = (H, W) pixels, upsampled bilinearly (corners not aligned).

    For pictures, and for orders by pixel. Between equal cells all pixels are exactly equal: torch's
    own interpolation leaves rounding there, which would order what ties. Maps of that size already
    are returned unchanged.

    Raises:
        ValueError: `size` is not a multiple of the maps' size.
    """
    _require_multiple(tuple(maps.shape[1:]), size)
    return _stretch(_stretch(maps, dim=1, length=size[0]), dim=2, length=size[1])


def to_patches(maps: Float[Tensor, "B H W"], grid: tuple[int, int]) -> Float[Tensor, "B h w"]:
    """Return the maps summed within each patch of a grid of (h, w) patches.

    A sum, so that relevance in a map is neither made nor lost.

    >>> to_patches(torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]), (1, 2)).tolist()
    [[[3.0, 7.0]]]

    Raises:
        ValueError: the maps' size is not a multiple of `grid`.
    """
    _require_multiple(grid, tuple(maps.shape[1:]))
    rows, columns = maps.shape[1] // grid[0], maps.shape[2] // grid[1]
    patches = maps.reshape(len(maps), grid[0], rows, grid[1], columns)
    return patches.sum(dim=(2, 4))


def _stretch(
    maps: Float[Tensor, "B h w"], dim: int, length: int
) -> Float[Tensor, "B stretched_h stretched_w"]:
    cells = maps.shape[dim]
    if cells == length:
        return maps
    pixels = torch.arange(length, dtype=maps.dtype, device=maps.device)
    places = ((pixels + 0.5) * cells / length - 0.5).clamp(
        0, cells - 1
    )  # in cells, centres at 0, 1
    lower = places.long()
    upper = (lower + 1).clamp(max=cells - 1)
    weight = (places - lower).view(-1, 1) if dim == 1 else places - lower
    return maps.index_select(dim, lower).lerp(maps.index_select(dim, upper), weight)


def _require_multiple(grid: tuple[int, ...], size: tuple[int, ...]) -> None:
    if any(cells < 1 or pixels % cells for cells, pixels in zip(grid, size, strict=True)):
        raise ValueError(f"size {tuple(size)} is no multiple of the grid {tuple(grid)}")
