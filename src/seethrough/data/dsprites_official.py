"""The published dSprites file: checked, read without unpickling, held as bits.

The file is a zip archive of numpy arrays. Its `metadata` member is a pickle, which can run any
code when opened; nothing here opens it. The other three members are plain arrays and are read
through their headers. Every check has its own sentence, so that a user learns what is wrong:
missing, not a zip or truncated, members missing, shapes or types, checksum, order of the factor
classes, factor values, pixels.
"""

import hashlib
import math
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import UInt8
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from seethrough.data.dsprites_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    IMAGE_SHAPE,
)
from seethrough.data.official_file import (
    INSTEAD,
    OfficialFileError,
    file_checksum,
    require_checksum,
    require_file,
)
from seethrough.data.packed_images import PackedDataset, pack_images, with_bits

PUBLISHED = "the dSprites file published in 2017, dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz"
# Images decompressed at once: 16 MB.
IMAGES_PER_BLOCK = 4096
# The published values are decimal fractions and multiples of pi stored in float64.
VALUE_TOLERANCE = 1e-6


@runtime_checkable
class ReadableMember(Protocol):
    """An open member of an archive."""

    def read(self, n: int = -1, /) -> bytes:
        """Return the next n bytes, fewer at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSpecification:
    """What the published file must hold; the defaults describe the dSprites release of 2017."""

    name: str = "dSprites (official)"
    """Name to print beside results."""
    factor_names: tuple[str, ...] = FACTOR_NAMES
    """Factors that vary, slowest first; the file has a constant colour before them."""
    factor_sizes: tuple[int, ...] = FACTOR_SIZES
    """Number of classes of each."""
    factor_values: tuple[tuple[float, ...], ...] = FACTOR_VALUES
    """Physical value of each class."""
    image_shape: tuple[int, int, int] = IMAGE_SHAPE
    """Channels (1), height, width."""
    blob_id: str = "d98996d3f8ee1550e06b9d4ed78d0beb478910d5"
    """Git's identifier of the file: sha1 of "blob <bytes>", a zero byte and the content."""

    @property
    def n_images(self) -> int:
        """Number of images in the file."""
        return math.prod(self.factor_sizes)

    @property
    def headers(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and type of each member that is read."""
        n, n_columns = self.n_images, 1 + len(self.factor_sizes)
        return {
            "imgs": ((n, *self.image_shape[1:]), "uint8"),
            "latents_classes": ((n, n_columns), "int64"),
            "latents_values": ((n, n_columns), "float64"),
        }


OFFICIAL = OfficialSpecification()


def read_official(
    path: str | Path, specification: OfficialSpecification = OFFICIAL
) -> PackedDataset:
    """Return the images of the published npz, held as bits, after every check.

    Reads the file once for its checksum and once for its arrays, in blocks: the peak of memory is
    the 377 MB of bits and one block, not the 3 GB of the unpacked array. The colour factor is
    dropped.

    Raises:
        OfficialFileError: the file fails a check; the sentence names the file and the check.
    """
    path = Path(path)
    require_file(path, PUBLISHED)
    with _readable(path), zipfile.ZipFile(path) as archive:
        _check_members(path, archive, specification)
        _check_headers(path, archive, specification)
        _check_blob_id(path, specification)
        _check_classes(path, archive, specification)
        _check_values(path, archive, specification)
        bits = _read_images(path, archive, specification)
    return with_bits(specification, bits)


def git_blob_id(path: Path) -> str:
    """Return git's identifier of a file's content: sha1 of "blob <bytes>", zero byte, content."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    return file_checksum(path, digest)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what a broken archive raises, at any depth, into one sentence."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise OfficialFileError(
            f"{path} is not a complete zip archive: it is truncated, damaged or another kind of "
            f"file ({error}); expected {PUBLISHED}; {INSTEAD}."
        ) from error


def _check_members(path: Path, archive: zipfile.ZipFile, spec: OfficialSpecification) -> None:
    missing = [key for key in spec.headers if f"{key}.npy" not in archive.namelist()]
    if missing:
        raise OfficialFileError(
            f"{path} lacks the arrays {', '.join(missing)}; "
            f"the published file has {', '.join(spec.headers)}."
        )


def _check_headers(path: Path, archive: zipfile.ZipFile, spec: OfficialSpecification) -> None:
    for key, (shape, dtype) in spec.headers.items():
        with archive.open(f"{key}.npy") as member:
            found_shape, fortran_order, found_dtype = _read_header(path, key, member)
        if found_shape != shape:
            raise OfficialFileError(f"{path} has {key} of shape {found_shape}, expected {shape}.")
        if found_dtype != np.dtype(dtype) or fortran_order:
            order = " in Fortran order" if fortran_order else ""
            raise OfficialFileError(
                f"{path} has {key} of type {found_dtype}{order}, expected {dtype} in C order."
            )


def _check_blob_id(path: Path, spec: OfficialSpecification) -> None:
    require_checksum(path, git_blob_id(path), spec.blob_id, "git blob id", PUBLISHED)


def _check_classes(path: Path, archive: zipfile.ZipFile, spec: OfficialSpecification) -> None:
    found = _read_array(path, archive, "latents_classes")
    wrong = (found != _expected_classes(spec)).any(axis=1).nonzero()[0]
    if len(wrong):
        raise OfficialFileError(
            f"{path} has latents_classes in another order: row {wrong[0]} is "
            f"{found[wrong[0]].tolist()}, expected the last factor to change fastest."
        )


def _check_values(path: Path, archive: zipfile.ZipFile, spec: OfficialSpecification) -> None:
    found = _read_array(path, archive, "latents_values")
    tables = [(1.0,), *spec.factor_values]
    classes = _expected_classes(spec)
    expected = np.stack([np.array(t)[classes[:, f]] for f, t in enumerate(tables)], axis=1)
    # Written so that NaN is wrong too.
    wrong = (~(np.abs(found - expected) <= VALUE_TOLERANCE)).any(axis=1).nonzero()[0]
    if len(wrong):
        raise OfficialFileError(
            f"{path} has other latents_values: row {wrong[0]} is {found[wrong[0]].tolist()}, "
            f"expected {expected[wrong[0]].tolist()}."
        )


def _expected_classes(spec: OfficialSpecification) -> NDArray[np.int64]:
    sizes = (1, *spec.factor_sizes)
    return np.stack(np.unravel_index(np.arange(spec.n_images), sizes), axis=1).astype(np.int64)


def _read_images(
    path: Path, archive: zipfile.ZipFile, spec: OfficialSpecification
) -> UInt8[Tensor, "N bytes"]:
    n_pixels = math.prod(spec.image_shape)
    bits = torch.empty(spec.n_images, n_pixels // 8, dtype=torch.uint8)
    with (
        archive.open("imgs.npy") as member,
        tqdm(total=spec.n_images, unit="image", file=sys.stderr, disable=None) as bar,
    ):
        _read_header(path, "imgs", member)
        for rows in torch.split(bits, IMAGES_PER_BLOCK):
            block = bytearray(member.read(len(rows) * n_pixels))
            if len(block) != len(rows) * n_pixels:
                raise EOFError("imgs ends early")
            images = torch.frombuffer(block, dtype=torch.uint8).view(-1, *spec.image_shape)
            if int(images.max()) > 1:
                raise OfficialFileError(
                    f"{path} has imgs with the pixel value {int(images.max())}, expected 0 and 1."
                )
            rows.copy_(pack_images(images))
            bar.update(len(rows))
    return bits


def _read_array(path: Path, archive: zipfile.ZipFile, key: str) -> NDArray[np.generic]:
    with archive.open(f"{key}.npy") as member:
        shape, _, dtype = _read_header(path, key, member)
        content = member.read(math.prod(shape) * dtype.itemsize)
    if len(content) != math.prod(shape) * dtype.itemsize:
        raise EOFError(f"{key} ends early")
    return np.frombuffer(content, dtype=dtype).reshape(shape)


def _read_header(
    path: Path, key: str, member: ReadableMember
) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Return shape, whether in Fortran order, and type, leaving `member` at the array's bytes."""
    try:
        version = npy.read_magic(member)
        if version == (1, 0):
            return npy.read_array_header_1_0(member)
        if version == (2, 0):
            return npy.read_array_header_2_0(member)
    except ValueError as error:
        raise OfficialFileError(
            f"{path} has {key} without a valid array header ({error})."
        ) from error
    raise OfficialFileError(f"{path} has {key} in array format {version}, expected 1.0 or 2.0.")
