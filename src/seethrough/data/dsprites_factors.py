"""The factors of dSprites and their physical values, as published (matthey2017dsprites).

A sixth factor, colour, comes first in the published files and has one class; here it is left out.
"""

import math

FACTOR_NAMES = ("shape", "scale", "orientation", "posX", "posY")
"""Slowest first; posY changes fastest."""

FACTOR_SIZES = (3, 6, 40, 32, 32)
"""Number of classes: 737,280 images in all."""

FACTOR_VALUES: tuple[tuple[float, ...], ...] = (
    (1.0, 2.0, 3.0),
    tuple(0.5 + 0.1 * i for i in range(6)),
    tuple(2 * math.pi * i / 39 for i in range(40)),
    tuple(i / 31 for i in range(32)),
    tuple(i / 31 for i in range(32)),
)
"""Square, ellipse, heart; scale; radians, both 0 and 2 pi; two positions from 0 to 1."""

IMAGE_SHAPE = (1, 64, 64)
"""Channels, height, width; pixels are 0 or 1."""
