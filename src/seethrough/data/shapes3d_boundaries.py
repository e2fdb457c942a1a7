"""How far edges in one image are shifted against another image of the same scene.

Along a row or column, an edge of the first image that stands alone in a window of seven pixels,
with values A before and B after it, has shift

    sum over the window of (second - first) . (A - B) / |A - B|^2      pixels,

the dot running over channels: an edge that lies s pixels later keeps A for s pixels longer.

Symbols: M images, E edges found.
"""

import torch
from jaxtyping import Float64
from torch import Tensor

REACH = 3
"""Pixels of the window on each side of its middle."""
CONTRAST = 80.0
"""Least |A - B| of an edge, in grey levels."""
FLAT = 12.0
"""Largest change allowed between the two outer pixels on each side, in grey levels."""


def boundary_shifts(
    first: Float64[Tensor, "M 3 H W"], second: Float64[Tensor, "M 3 H W"]
) -> Float64[Tensor, " E"]:
    """Return the shift in pixels of every edge of `first`, along rows, then along columns.

    Positive is to the right or downwards; a shift beyond 3 pixels is cut off by the window.
    """
    return torch.cat([_along_rows(first, second), _along_rows(first.mT, second.mT)])


def _along_rows(
    first: Float64[Tensor, "M 3 H W"], second: Float64[Tensor, "M 3 H W"]
) -> Float64[Tensor, " E"]:
    n_window = 2 * REACH + 1
    windows = first.unfold(3, n_window, 1)  # (M, 3, H, W - 6, window)
    before, after = windows[..., 0], windows[..., -1]
    contrast = (before - after).square().sum(dim=1).sqrt()
    steps = windows.diff(dim=-1).square().sum(dim=1).sqrt()  # (M, H, W - 6, window - 1)
    flat = (steps[..., 0] <= FLAT) & (steps[..., -1] <= FLAT)
    middle = steps.argmax(dim=-1) == REACH  # each edge once: the window it is centred in
    found = flat & middle & (contrast >= CONTRAST)
    moved = (second.unfold(3, n_window, 1) - windows).sum(dim=-1)  # (M, 3, H, W - 6)
    shifts = (moved * (before - after)).sum(dim=1) / contrast.square()
    return shifts[found]
