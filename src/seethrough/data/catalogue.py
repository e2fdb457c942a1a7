"""Every data set by name, re-rendered or read from its published file."""

from collections.abc import Callable

from seethrough.data.factor_dataset import FactorDataset
from seethrough.data.variants import (
    GreyImages,
    HuedSprites,
    OneColourSprites,
    OneFloorImages,
)
from seethrough.unknown_name import unknown

Variant = Callable[[FactorDataset], FactorDataset]

DSPRITES, SHAPES3D = "dsprites", "shapes3d"

# Name -> family and, for a variant, what makes it of the family's data set.
VARIANTS: dict[str, tuple[str, Variant | None]] = {
    "dsprites": (DSPRITES, None),
    "dsprites_rgb": (DSPRITES, OneColourSprites),
    "dsprites_hued": (DSPRITES, HuedSprites),
    "shapes3d": (SHAPES3D, None),
    "shapes3d_grey": (SHAPES3D, GreyImages),
    "shapes3d_fixed_floor": (SHAPES3D, OneFloorImages),
}
NAMES = tuple(VARIANTS)
"""Names of all data sets."""


def load(name: str, path: str = "") -> FactorDataset:
    """Return the data set of this name.

    Without a path its images are re-rendered when they are asked for, and no file is needed. A path
    is that of the published file of the family: the npz for dsprites and its variants, the h5 for
    shapes3d and its variants.

    >>> load("dsprites_hued").image_shape
    (3, 64, 64)

    Raises:
        ValueError: an unknown name.
        OfficialFileError: a published file that is missing or fails a check (a ValueError too).
    """
    if name not in VARIANTS:
        raise ValueError(f"data set {unknown(name, NAMES)}")
    family, variant = VARIANTS[name]
    dataset = _dsprites(path) if family == DSPRITES else _shapes3d(path)
    return variant(dataset) if variant else dataset


def _dsprites(path: str) -> FactorDataset:
    if path:
        from seethrough.data.dsprites_official import read_official

        return read_official(path)
    from seethrough.data.dsprites import RenderedDsprites

    return RenderedDsprites()


def _shapes3d(path: str) -> FactorDataset:
    if path:
        from seethrough.data.shapes3d_official import read_official

        return read_official(path)
    from seethrough.data.shapes3d import RenderedShapes3D

    return RenderedShapes3D()
