"""Geometry of the three sprites: which part of each pixel row lies inside.

A sprite cut by a horizontal line gives one interval (square, ellipse) or up to two (heart). Pixel
rows are filled between the ends of these intervals, so that rendering is integer work on 64-bit
words. The constants were fitted to real frames of the official animation
{cite:p}`matthey2017dsprites`; there is no antialiasing.

Symbols: (dx, dy) offset of a pixel's centre from the sprite's centre, x to the right and y down;
u = (cos t dx - sin t dy) / scale, v = (sin t dx + cos t dy) / scale, t the orientation.
"""

import torch
from jaxtyping import Float
from torch import Tensor

SQUARE_HALF_SIDE = 9.6
"""Half a side of the square at scale 1, pixels."""
ELLIPSE_SEMI_AXES = (12.8, 7.2)
"""Semi-axes of the ellipse at scale 1 along u and v, pixels."""
HEART_VERTICES = 360
"""Corners of the polygon that stands for the heart's curve: within 0.01 pixel of it."""
N_INTERVALS = 2
"""Most intervals in which a line cuts a sprite."""


def square_intervals(
    scale: Float[Tensor, "*N"], angle: Float[Tensor, "*N"], dy: Float[Tensor, "*N"]
) -> Float[Tensor, "*N 1 2"]:
    """Return the ends in dx of |u| <= 9.6 and |v| <= 9.6; left > right where there is none."""
    half, cos, sin = SQUARE_HALF_SIDE * scale, angle.cos(), angle.sin()
    from_u = _between(-half, half, cos, -sin * dy)
    from_v = _between(-half, half, sin, cos * dy)
    left = torch.maximum(from_u[..., 0], from_v[..., 0])
    right = torch.minimum(from_u[..., 1], from_v[..., 1])
    return torch.stack([left, right], -1)[..., None, :]


def _between(low: Tensor, high: Tensor, slope: Tensor, offset: Tensor) -> Float[Tensor, "*N 2"]:
    """Ends in dx of low <= slope dx + offset <= high; a flat line is inside or outside whole."""
    ends = torch.stack([(low - offset) / slope, (high - offset) / slope], -1).sort(-1).values
    inside = (low <= offset) & (offset <= high)
    whole = torch.tensor([-torch.inf, torch.inf], dtype=ends.dtype, device=ends.device)
    flat = torch.where(inside[..., None], whole, whole.flip(0))
    return torch.where((slope == 0)[..., None], flat, ends)


def ellipse_intervals(
    scale: Float[Tensor, "*N"], angle: Float[Tensor, "*N"], dy: Float[Tensor, "*N"]
) -> Float[Tensor, "*N 1 2"]:
    """Return the ends in dx of (u / 12.8)^2 + (v / 7.2)^2 <= 1, roots of a quadratic."""
    a, b = (1 / (axis * scale) ** 2 for axis in ELLIPSE_SEMI_AXES)
    cos, sin = angle.cos(), angle.sin()
    square = a * cos**2 + b * sin**2
    half_linear = (b - a) * cos * sin * dy
    constant = (a * sin**2 + b * cos**2) * dy**2 - 1
    discriminant = half_linear**2 - square * constant
    root = discriminant.clamp_min(0).sqrt()
    ends = torch.stack([-half_linear - root, -half_linear + root], -1) / square[..., None]
    none = torch.tensor([torch.inf, -torch.inf], dtype=ends.dtype, device=ends.device)
    return torch.where((discriminant >= 0)[..., None], ends, none)[..., None, :]


def heart_polygon(device: torch.device | str = "cpu") -> Float[Tensor, "V 2"]:
    """Return corners (u, v) of the heart at scale 1, pixels."""
    t = torch.arange(HEART_VERTICES, dtype=torch.float64, device=device)
    t = t * (2 * torch.pi / HEART_VERTICES)
    u = 0.600 * 16 * t.sin() ** 3
    wave = 13 * t.cos() - 5 * (2 * t).cos() - 2 * (3 * t).cos() - (4 * t).cos()
    return torch.stack([u, -0.662 * wave - 1.44], 1)


def heart_intervals(
    scale: Float[Tensor, "*N"], angle: Float[Tensor, "*N"], dy: Float[Tensor, "*N"]
) -> Float[Tensor, "*N 2 2"]:
    """Return the ends in dx between which a line lies inside the heart (even-odd rule).

    Lines that miss the heart, and second intervals that do not exist, have left > right.
    """
    u, v = heart_polygon(dy.device).unbind(1)
    flat_scale, flat_angle, flat_dy = (
        t.expand(dy.shape).reshape(-1, 1) for t in (scale, angle, dy)
    )
    ends = torch.full((len(flat_dy), 4), torch.inf, dtype=torch.float64, device=dy.device)
    radius = (u.square() + v.square()).max().sqrt()
    near = (flat_dy.abs() <= radius * flat_scale).nonzero()[:, 0]
    for rows in near.split(8192):  # bounds memory
        cos, sin = flat_angle[rows].cos(), flat_angle[rows].sin()
        x, y = cos * u + sin * v, cos * v - sin * u  # [R V], at scale 1
        height = flat_dy[rows] / flat_scale[rows]
        above = y > height
        crosses = above != above.roll(-1, 1)
        along = (height - y) / (y.roll(-1, 1) - y)
        crossing = (x + along * (x.roll(-1, 1) - x)).masked_fill(~crosses, torch.inf)
        found = crossing.topk(4, dim=1, largest=False, sorted=True).values
        ends[rows] = found * flat_scale[rows]
    pairs = ends.reshape(*dy.shape, N_INTERVALS, 2)
    none = torch.tensor([torch.inf, -torch.inf], dtype=ends.dtype, device=ends.device)
    return torch.where(pairs.isinf().any(-1, keepdim=True), none, pairs)


def row_words(intervals: Float[Tensor, "*N I 2"], center_x: Float[Tensor, "*N"]) -> "torch.Tensor":
    """Return each pixel row as one 64-bit word, pixel 0 in the highest bit, int64 [*N].

    A pixel is set if its centre lies inside an interval, ends included.
    """
    left = (intervals[..., 0] + center_x[..., None]).ceil().clamp(0, 64)
    right = (intervals[..., 1] + center_x[..., None]).floor().clamp(-1, 63)
    one = torch.ones((), dtype=torch.int64, device=left.device)
    first, last = left.long(), right.long()
    # bits from pixel `first` on, and bits up to pixel `last`: shifts by 64 are not defined
    onward = torch.where(first == 0, -one, (one << (64 - first).clamp(0, 63)) - 1)
    upward = -one << (63 - last).clamp(0, 63)
    words = torch.where(first <= last, onward & upward, 0)
    filled = words[..., 0]
    for number in range(1, words.shape[-1]):
        filled = filled | words[..., number]
    return filled
