"""The four solids of 3D Shapes at unit size: where rays cross them, and their normals.

Cube |x|, |y|, |z| <= 1; cylinder x^2 + y^2 <= 1, |z| <= 1; sphere of radius 1; capsule, all points
within 1 of the segment from (0, 0, -1) to (0, 0, 1). All are convex, so a line crosses each along
one interval. A ray is origin + t direction, and directions need not have length 1.

Symbols: G geometries, P rays or points of each; the axis of 3 is (x, y, z).
"""

import math

import torch
from jaxtyping import Float64
from torch import Tensor

HALF_HEIGHTS = (1.0, 1.0, 1.0, 2.0)
"""Of the cube, cylinder, sphere and capsule."""


def crossing(
    shape: int, origin: Float64[Tensor, "G 3 P"], direction: Float64[Tensor, "G 3 P"]
) -> tuple[Float64[Tensor, "G P"], Float64[Tensor, "G P"]]:
    """Return t where each line enters and leaves the solid; a miss enters after it leaves.

    >>> along_x = torch.tensor([[[1.0], [0.0], [0.0]]], dtype=torch.float64)
    >>> [t.item() for t in crossing(2, -3 * along_x, along_x)]  # a sphere seen from x = -3
    [2.0, 4.0]
    """
    x, y, z = origin.unbind(dim=1)
    dx, dy, dz = direction.unbind(dim=1)
    if shape == 0:
        sides = _common(_between_planes(x, dx), _between_planes(y, dy))
        return _common(sides, _between_planes(z, dz))
    if shape == 2:
        return _within_one((x, y, z), (dx, dy, dz))
    upright = _common(_within_one((x, y), (dx, dy)), _between_planes(z, dz))
    if shape == 1:
        return upright
    enter, leave = upright
    missed = enter > leave
    enter, leave = enter.masked_fill(missed, math.inf), leave.masked_fill(missed, -math.inf)
    for centre in (-1.0, 1.0):
        end = _within_one((x, y, z - centre), (dx, dy, dz))
        enter, leave = torch.minimum(enter, end[0]), torch.maximum(leave, end[1])
    return enter, leave


def normals(shape: int, points: Float64[Tensor, "G 3 P"]) -> Float64[Tensor, "G 3 P"]:
    """Return the outward normals, of length 1, at points on the surface of the solid.

    On an edge of the cube the normals of its faces are added; on a rim of the cylinder the side's
    is taken. Off the surface the result means nothing.
    """
    if shape == 0:
        size = points.abs()
        return torch.where(size == size.amax(dim=1, keepdim=True), points.sign(), 0.0)
    x, y, z = points.unbind(dim=1)
    if shape == 1:
        on_cap = z.abs() > (x.square() + y.square()).sqrt()
        side, cap = (~on_cap).to(z.dtype), on_cap.to(z.dtype)
        return torch.stack([x * side, y * side, z.sign() * cap], dim=1)
    if shape == 2:
        return points
    return torch.stack([x, y, z - z.clamp(-1, 1)], dim=1)


def _common(
    first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
) -> tuple[Float64[Tensor, "G P"], Float64[Tensor, "G P"]]:
    return torch.maximum(first[0], second[0]), torch.minimum(first[1], second[1])


def _between_planes(
    start: Float64[Tensor, "G P"], step: Float64[Tensor, "G P"]
) -> tuple[Float64[Tensor, "G P"], Float64[Tensor, "G P"]]:
    """Return where start + t step lies from -1 to 1."""
    low, high = (-1 - start) / step, (1 - start) / step
    return torch.minimum(low, high), torch.maximum(low, high)


def _within_one(
    start: tuple[Tensor, ...], step: tuple[Tensor, ...]
) -> tuple[Float64[Tensor, "G P"], Float64[Tensor, "G P"]]:
    """Return where |start + t step| <= 1: the roots of a t^2 + 2 b t + c."""
    a = sum((d * d for d in step[1:]), step[0] * step[0])
    b = sum((s * d for s, d in zip(start[1:], step[1:], strict=True)), start[0] * step[0])
    c = sum((s * s for s in start[1:]), start[0] * start[0]) - 1
    discriminant = b * b - a * c
    root = discriminant.clamp(min=0).sqrt()
    missed = discriminant <= 0
    always = (a == 0) & (c < 0)  # a line along the axis, inside
    enter = ((-b - root) / a).masked_fill(missed, math.inf)
    leave = ((root - b) / a).masked_fill(missed, -math.inf)
    return enter.masked_fill(always, -math.inf), leave.masked_fill(always, math.inf)
