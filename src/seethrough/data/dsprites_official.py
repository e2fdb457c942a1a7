"""The published dSprites file: read without pickle, believed only after every check.

The archive's `metadata` is a pickle and is never touched; all it says is in the code.
"""

import hashlib
import zipfile
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialFile:
    """What the published file must be."""

    blob: str = "d98996d3f8ee1550e06b9d4ed78d0beb478910d5"
    """Its git blob id: SHA-1 of `blob <bytes>`, a zero byte, and the content."""
    class_sizes: tuple[int, ...] = (1, 3, 6, 40, 32, 32)
    """Classes of colour, shape, scale, orientation, posX, posY; the last runs fastest."""

    @property
    def n_images(self) -> int:
        """Return the number of images."""
        return prod(self.class_sizes)


OFFICIAL = OfficialFile()


def read_official(path: str | Path, expected: OfficialFile = OFFICIAL) -> UInt8[Tensor, "N 512"]:
    """Return the images of the published npz as bits, eight to a byte, first pixel highest.

    Raises ValueError that names the check that failed: file, archive, keys, shape and type, pixel
    values, order of classes, checksum. The checksum comes last, so that a foreign file is told
    apart from a tampered one.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is not a file: allowed is the path of the published dSprites npz")
    try:
        with zipfile.ZipFile(path) as archive:
            _check_keys(archive, path)
            _check_classes(archive, path, expected)
            packed = _read_images(archive, path, expected)
    except (zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path} is truncated or no npz archive: {error}") from error
    _check_blob(path, expected)
    return torch.from_numpy(packed)


def _check_keys(archive: zipfile.ZipFile, path: Path) -> None:
    missing = {"imgs.npy", "latents_classes.npy", "latents_values.npy"} - set(archive.namelist())
    if missing:
        names = ", ".join(sorted(name.removesuffix(".npy") for name in missing))
        raise ValueError(f"{path} fails the check of keys: {names} not found")


def _check_classes(archive: zipfile.ZipFile, path: Path, expected: OfficialFile) -> None:
    wanted = (expected.n_images, len(expected.class_sizes))
    with archive.open("latents_values.npy") as member:
        _check_header(member, "latents_values", wanted, np.dtype(np.float64), path)
    with archive.open("latents_classes.npy") as member:
        _check_header(member, "latents_classes", wanted, np.dtype(np.int64), path)
        found = np.frombuffer(_read(member, prod(wanted) * 8, path), np.int64).reshape(wanted)
    order = np.stack(np.unravel_index(np.arange(wanted[0]), expected.class_sizes), 1)
    wrong = (found != order).any(1)
    if wrong.any():
        raise ValueError(
            f"{path} fails the check of order: latents_classes of image {int(wrong.argmax())} "
            "are not those of the official order"
        )


def _read_images(
    archive: zipfile.ZipFile, path: Path, expected: OfficialFile
) -> "np.ndarray[tuple[int, int], np.dtype[np.uint8]]":
    packed = np.empty((expected.n_images, 512), np.uint8)
    with archive.open("imgs.npy") as member:
        wanted = (expected.n_images, 64, 64)
        _check_header(member, "imgs", wanted, np.dtype(np.uint8), path)
        step = 8192
        for start in range(0, expected.n_images, step):  # in blocks: the whole is 3 GB
            n = min(step, expected.n_images - start)
            pixels = np.frombuffer(_read(member, n * 4096, path), np.uint8)
            if pixels.max() > 1:
                raise ValueError(
                    f"{path} fails the check of pixels: found {pixels.max()}, allowed are 0 and 1"
                )
            packed[start : start + n] = np.packbits(pixels.reshape(n, 4096), axis=1)
    return packed


def _check_header(
    member: IO[bytes], key: str, shape: tuple[int, ...], dtype: "np.dtype[np.generic]", path: Path
) -> None:
    try:
        version = np.lib.format.read_magic(member)
        read = {(1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0}[version]  # fmt: skip
        found_shape, column_major, found_dtype = read(member)
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path} fails the check of {key}: no readable array") from error
    if found_shape != shape or found_dtype != dtype or column_major:
        order = "column-major " if column_major else ""
        raise ValueError(
            f"{path} fails the check of {key}: found {order}{found_dtype} {found_shape}, "
            f"allowed is {dtype} {shape}"
        )


def _read(member: IO[bytes], n_bytes: int, path: Path) -> bytes:
    content = member.read(n_bytes)
    if len(content) != n_bytes:
        raise ValueError(f"{path} is truncated or no npz archive: an array ends early")
    return content


def _check_blob(path: Path, expected: OfficialFile) -> None:
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    if digest.hexdigest() != expected.blob:
        raise ValueError(
            f"{path} fails the check of content: its blob id is {digest.hexdigest()}, "
            f"allowed is {expected.blob}"
        )
