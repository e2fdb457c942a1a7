"""The published 3D Shapes file: checked, its images left in the file and read on demand.

The file is HDF5 with two arrays, `images` and `labels`, compressed in chunks that each hold a part
of many images. Every check has its own sentence, so that a user learns what is wrong: missing, not
HDF5 or truncated, arrays missing, shapes or types, size and checksum, labels. h5py is needed only
here and imported only when a file is read.
"""

import hashlib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seethrough.data.factor_dataset import FactorDataset
from seethrough.data.official_file import (
    INSTEAD,
    OfficialFileError,
    file_checksum,
    require_checksum,
    require_file,
)
from seethrough.data.shapes3d_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    IMAGE_SHAPE,
)

PUBLISHED = "the 3D Shapes file published in 2018, 3dshapes.h5"
# What h5py raises on damaged content, after the place of the damage.
HDF5_ERRORS = (OSError, KeyError, RuntimeError, ValueError)
# Steps between labels are 0.07 and more.
LABEL_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSpecification:
    """What the published file must hold; the defaults describe the 3D Shapes release of 2018."""

    name: str = "Shapes3D (official)"
    """Name to print beside results."""
    factor_names: tuple[str, ...] = FACTOR_NAMES
    """Factors, slowest first."""
    factor_sizes: tuple[int, ...] = FACTOR_SIZES
    """Number of classes of each."""
    factor_values: tuple[tuple[float, ...], ...] = FACTOR_VALUES
    """Label of each class of each factor."""
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    """Channels, height, width; in the file channels come last."""
    n_bytes: int = 267_573_662
    """Size of the file."""
    sha256: str = "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785"
    """Checksum of the file."""

    @property
    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of each array."""
        n = math.prod(self.factor_sizes)
        channels, height, width = self.image_shape
        return {
            "images": ((n, height, width, channels), "uint8"),
            "labels": ((n, len(self.factor_sizes)), "float64"),
        }


OFFICIAL = OfficialSpecification()


class OfficialShapes3D(FactorDataset):
    """The images of a checked file, read from it when they are asked for."""

    max_value = 255

    def __init__(self, path: Path, specification: OfficialSpecification) -> None:
        self.path = path
        self.name = specification.name
        self.factor_names = specification.factor_names
        self.factor_sizes = specification.factor_sizes
        self.factor_values = specification.factor_values
        self.image_shape = specification.image_shape

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        """Return the images at these indices, on the index's device, values 0 to 255.

        Each run of chunks that holds an image asked for is read once, in the order of the file:
        asking for many images at once costs far less than asking for each.

        Raises:
            IndexError: an index below 0 or at or above the number of images.
            OfficialFileError: the file has gone or been damaged since it was checked.
        """
        self.require_indices(index)
        with _opened(self.path) as file:
            images = read_rows(file["images"], index.cpu().numpy())
        return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous().to(index.device)


def read_official(
    path: str | Path, specification: OfficialSpecification = OFFICIAL
) -> OfficialShapes3D:
    """Return the data set of the published h5 after every check; its images stay in the file.

    Reads the file once for its checksum.

    Raises:
        OfficialFileError: the file fails a check, or h5py is not installed; the sentence names the
            file and the check.
    """
    path = Path(path)
    require_file(path, PUBLISHED)
    with _opened(path) as file:
        _check_headers(path, file, specification)
        _check_bytes(path, specification)
        _check_labels(path, file["labels"][:], specification)
    return OfficialShapes3D(path, specification)


def read_rows(images: Any, index: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the rows of an HDF5 array at these indices, in their order, repeats included.

    Rows are read a run of chunks at a time, since a compressed chunk is unpacked whole even for one
    of its rows. An array without chunks counts as chunks of one row.
    """
    per_run = images.chunks[0] if images.chunks else 1
    rows = np.empty((len(index), *images.shape[1:]), dtype=np.uint8)
    order = np.argsort(index, kind="stable")
    runs = index[order] // per_run
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    for some in np.split(order, starts[1:]) if len(order) else ():
        first = int(index[some[0]]) // per_run * per_run
        rows[some] = images[first : first + per_run][index[some] - first]
    return rows


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Yield the open file; turn what a broken one raises, at any depth, into one sentence."""
    h5py = _h5py(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OfficialFileError:
        raise
    except HDF5_ERRORS as error:
        raise OfficialFileError(
            f"{path} is not a complete HDF5 file: it is truncated, damaged or another kind of "
            f"file ({error}); expected {PUBLISHED}; {INSTEAD}."
        ) from error


def _h5py(path: Path) -> Any:
    try:
        return import_module("h5py")
    except ImportError as error:
        raise OfficialFileError(
            f"{path} can only be read with h5py, which is not installed: pip install h5py; "
            f"{INSTEAD}."
        ) from error


def _check_headers(path: Path, file: Any, spec: OfficialSpecification) -> None:
    missing = [key for key in spec.headers if key not in file]
    if missing:
        raise OfficialFileError(
            f"{path} lacks the arrays {', '.join(missing)}; "
            f"the published file has {', '.join(spec.headers)}."
        )
    for key, (shape, dtype) in spec.headers.items():
        # A group has neither shape nor type.
        found = getattr(file[key], "shape", None), str(getattr(file[key], "dtype", None))
        if found != (shape, dtype):
            raise OfficialFileError(
                f"{path} has {key} of shape {found[0]} and type {found[1]}, "
                f"expected {shape} and {dtype}."
            )


def _check_bytes(path: Path, spec: OfficialSpecification) -> None:
    n_bytes = path.stat().st_size
    if n_bytes != spec.n_bytes:
        raise OfficialFileError(
            f"{path} has {n_bytes:,} bytes, expected {spec.n_bytes:,}: it is not {PUBLISHED}; "
            f"{INSTEAD}."
        )
    found = file_checksum(path, hashlib.sha256())
    require_checksum(path, found, spec.sha256, "sha256", PUBLISHED)


def _check_labels(path: Path, found: NDArray[np.float64], spec: OfficialSpecification) -> None:
    classes = np.unravel_index(np.arange(len(found)), spec.factor_sizes)
    columns = [np.array(t)[c] for t, c in zip(spec.factor_values, classes, strict=True)]
    expected = np.stack(columns, axis=1)
    # Written so that NaN is wrong too.
    wrong = (~(np.abs(found - expected) <= LABEL_TOLERANCE)).any(axis=1).nonzero()[0]
    if len(wrong):
        raise OfficialFileError(
            f"{path} has other labels: row {wrong[0]} is {found[wrong[0]].tolist()}, "
            f"expected {expected[wrong[0]].tolist()} ({', '.join(spec.factor_names)})."
        )
