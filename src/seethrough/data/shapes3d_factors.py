"""The factors of 3D Shapes and their physical values, as published (burgess2018shapes3d)."""

FACTOR_NAMES = ("floor_hue", "wall_hue", "object_hue", "scale", "shape", "orientation")
"""Slowest first; orientation changes fastest."""

FACTOR_SIZES = (10, 10, 10, 8, 4, 15)
"""Number of classes: 480,000 images in all."""

HUES = tuple(k / 10 for k in range(10))

FACTOR_VALUES: tuple[tuple[float, ...], ...] = (
    HUES,
    HUES,
    HUES,
    tuple(0.75 + 0.5 * k / 7 for k in range(8)),
    tuple(float(k) for k in range(4)),
    tuple(-30 + 60 * k / 14 for k in range(15)),
)
"""Hue of three surfaces, in turns; scale; number of the shape; degrees around the vertical."""

SHAPE_NAMES = ("cube", "cylinder", "sphere", "capsule")
"""Name of each class of the factor shape."""

IMAGE_SHAPE = (3, 64, 64)
"""Channels (red, green, blue), height, width; pixels from 0 to 255."""
