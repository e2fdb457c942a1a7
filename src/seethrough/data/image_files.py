"""Labelled pictures that stay in their files and are decoded when they are asked for.

The rule for what does not decode: when the set is made, the header of every file is opened. A file
that fails is left out of the labels, once for all and before any study starts; its path is in
`undecodable` and all of them are reported in one warning. A file whose header is sound but whose
picture is not (cut off in the middle, say) is found when it is decoded, and stops the study with
an error that names it. No file is skipped without a word, and none while a study runs.
"""

import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from seethrough.data.labelled_images import LabelledImages
from seethrough.data.preprocessing import Preprocessing
from seethrough.data.stored_files import FolderFiles, TarFiles

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
"""What is decoded, whatever a file's name ends in."""
N_THREADS = min(16, os.cpu_count() or 1)
# Headers checked between two looks at the progress bar; bounds the number of waiting tasks.
FILES_PER_ROUND = 4096
N_NAMED = 5
"""Of many wrong files, how many a message names."""


class UndecodableImageError(ValueError):
    """A file whose header is that of a picture and whose content does not decode."""


class UndecodableImageWarning(UserWarning):
    """Files that are no pictures were left out."""


class ImageFiles(LabelledImages):
    """Pictures in files with one class each, decoded by threads."""

    preprocessing: Preprocessing
    """What is done to each picture."""
    paths: tuple[str, ...]
    """Names of the pictures' files, in the order of the labels."""
    undecodable: tuple[str, ...]
    """Names of the files that were left out."""

    def __init__(
        self,
        name: str,
        files: FolderFiles | TarFiles,
        paths: Sequence[str],
        labels: Sequence[int],
        class_names: tuple[str, ...],
        preprocessing: Preprocessing,
    ) -> None:
        """Open every file's header; `paths` are names in `files`, with one label each.

        Raises ValueError if no picture is left, or if all that are left share one class.
        """
        faults = _faults(files, paths)
        sound = [i for i in range(len(paths)) if i not in faults]
        self.name, self.class_names, self.preprocessing = name, class_names, preprocessing
        self.image_shape = (3, preprocessing.size, preprocessing.size)
        self.files = files
        self.paths = tuple(paths[i] for i in sound)
        self.labels = torch.tensor([labels[i] for i in sound], dtype=torch.int64)
        self.undecodable = tuple(paths[i] for i in faults)
        if faults:
            listed = _first(f"{paths[i]} ({fault})" for i, fault in faults.items())
            warnings.warn(
                f"{len(faults)} of {len(paths)} files of {name} do not decode and are left out: "
                f"{listed}",
                UndecodableImageWarning,
                stacklevel=3,
            )
        _require_two_classes(self)

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the pictures at these indices, decoded, cropped and normalised.

        Raises ValueError for an index outside the pictures and UndecodableImageError for a file
        whose content does not decode.
        """
        self.require_indices(index)
        pixels = torch.empty(len(index), *self.image_shape, dtype=torch.uint8)
        with ThreadPoolExecutor(N_THREADS) as pool:
            for row, decoded in zip(pixels, pool.map(self._decode, index.tolist()), strict=True):
                row.copy_(decoded)
        return self.preprocessing.normalise(pixels.to(index.device))

    def batches(
        self, index: Int64[Tensor, " N"], batch_size: int, device: str | torch.device = "cpu"
    ) -> Iterator[tuple[Float[Tensor, "B 3 H W"], Int64[Tensor, " B"]]]:
        """Yield images and labels in the index's order; the next batch is decoded meanwhile.

        Raises as `images` does, and ValueError for a batch size below 1.
        """
        batches = super().batches(index, batch_size, device)
        with ThreadPoolExecutor(1) as ahead:
            upcoming = ahead.submit(next, batches, None)
            while (batch := upcoming.result()) is not None:
                upcoming = ahead.submit(next, batches, None)
                yield batch

    def _decode(self, number: int) -> UInt8[Tensor, "3 H W"]:
        path = self.paths[number]
        try:
            with self.files.open(path) as file, Image.open(file, formats=FORMATS) as image:
                image.load()
                return self.preprocessing.pixels(image)
        # Pillow's decoders raise many kinds of exceptions.
        except Exception as error:
            raise UndecodableImageError(
                f"{path} of {self.name} does not decode ({_reason(error)}): replace or remove it"
            ) from error


def _faults(files: FolderFiles | TarFiles, paths: Sequence[str]) -> dict[int, str]:
    """Return position to reason of the files whose header is not that of a picture."""
    faults: dict[int, str] = {}
    with (
        ThreadPoolExecutor(N_THREADS) as pool,
        tqdm(total=len(paths), desc="headers", unit="file", file=sys.stderr, disable=None) as bar,
    ):
        for first in range(0, len(paths), FILES_PER_ROUND):
            some = paths[first : first + FILES_PER_ROUND]
            found = pool.map(lambda path: _header_fault(files, path), some)
            faults |= {first + i: fault for i, fault in enumerate(found) if fault}
            bar.update(len(some))
    return faults


def _header_fault(files: FolderFiles | TarFiles, path: str) -> str:
    try:
        with files.open(path) as file, Image.open(file, formats=FORMATS):
            return ""
    # Pillow's readers raise many kinds of exceptions.
    except Exception as error:
        return _reason(error)


def _require_two_classes(images: ImageFiles) -> None:
    if not len(images):
        raise ValueError(f"{images.name} has no picture that decodes, needed are two classes")
    present = sorted(set(images.labels.tolist()))
    if len(present) < 2:
        raise ValueError(
            f"{images.name} has pictures of one class only, {images.class_names[present[0]]}: "
            "needed are at least two"
        )


def _first(texts: Iterator[str]) -> str:
    listed = list(texts)
    more = f" and {len(listed) - N_NAMED} more" if len(listed) > N_NAMED else ""
    return ", ".join(listed[:N_NAMED]) + more


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
