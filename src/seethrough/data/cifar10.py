"""CIFAR-10 {cite:p}`krizhevsky2009`: its published binary version, or a copy in class folders.

The published version read most often is a set of pickles, which can run any code when opened;
nothing here opens one. The authors publish the same pixels as plain bytes too, and that version is
read: records of 3,073 bytes, the class and then 32 x 32 red, green and blue values. Each file must
have the checksum of the published one. A copy in class folders (split/class/picture, as JPEG or
PNG) is recompressed by whoever made it: it is checked for the number of pictures per class and
their size, and named a copy, since numbers from it are not those of CIFAR-10 itself.
"""

import hashlib
import io
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from seethrough.data.image_files import FORMATS
from seethrough.data.labelled_images import LabelledImages
from seethrough.data.official_file import OfficialFileError

CLASSES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SIDE = 32
RECORD_BYTES = 1 + 3 * SIDE * SIDE
N_PER_CLASS = {"train": 5000, "test": 1000}
"""Split to images of each class."""
BINARY_FILES = {
    "train": {
        "data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    },
    "test": {
        "test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
}
"""Split to its files, in order, with their SHA-256."""
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
ARCHIVE_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
"""Of the training images' red, green and blue in [0, 1]."""


class Cifar10(LabelledImages):
    """One split of CIFAR-10 in memory, 154 MB for the 50,000 training images."""

    class_names = CLASSES
    pixels: UInt8[Tensor, "all 3 32 32"]
    """The images as they were read, 0 to 255, on the CPU."""

    def __init__(self, path: str | Path, split: str = "test", upscaling: int = 1) -> None:
        """Read a split from `path`, once.

        `path` is the published cifar-10-binary.tar.gz or the folder unpacked from it, or a tar
        (compressed or not) or a folder with split/class/picture. Binary files keep their order; a
        copy is ordered by class and name. Each pixel becomes a square of `upscaling` pixels.

        Raises:
            ValueError: a split other than train and test, or `upscaling` below 1.
            OfficialFileError: nothing of CIFAR-10 at `path`, or files that fail a check (a
                ValueError too).
        """
        if split not in N_PER_CLASS:
            raise ValueError(f"split is {split!r}, allowed are {', '.join(N_PER_CLASS)}")
        if upscaling < 1:
            raise ValueError(f"upscaling is {upscaling}, allowed is at least 1")
        path = Path(path)
        if not path.exists():
            raise OfficialFileError(f"{path} does not exist: expected CIFAR-10, binary or pictures")
        binary, pictures = _read(path, split)
        if not binary and not pictures:
            raise OfficialFileError(
                f"{path} has neither {', '.join(BINARY_FILES[split])} nor pictures in "
                f"{split}/<class>: it is not CIFAR-10"
            )
        if binary:
            self.name = "CIFAR-10"
            self.pixels, self.labels = _from_binary(path, split, binary)
        else:
            self.name = "CIFAR-10 (recompressed copy)"
            self.pixels, self.labels = _from_pictures(pictures)
        _require_balance(path, split, self.labels)
        self.upscaling = upscaling
        self.image_shape = (3, SIDE * upscaling, SIDE * upscaling)

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        """Return the images at these indices, upscaled, minus MEAN and divided by STD.

        Raises ValueError for an index outside the images.
        """
        self.require_indices(index)
        pixels = self.pixels[index.cpu()].to(index.device)
        mean, std = (pixels.new_tensor(v, dtype=torch.float32) for v in (MEAN, STD))
        images = pixels.float().div(255).sub(mean.view(3, 1, 1)).div(std.view(3, 1, 1))
        rows = images.repeat_interleave(self.upscaling, dim=2)
        return rows.repeat_interleave(self.upscaling, dim=3)


def download_cifar10(folder: str | Path) -> Path:
    """Return the path of the published binary version in `folder`, fetched if it is not there.

    The one function of this module that touches the network: 170 MB, checked by checksum.

    Raises OfficialFileError if it cannot be fetched.
    """
    path = Path(folder) / PurePosixPath(URL).name
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(URL, str(path), ARCHIVE_SHA256, progress=sys.stderr.isatty())
    except (OSError, RuntimeError) as error:
        raise OfficialFileError(
            f"CIFAR-10 cannot be fetched ({error}); without network, fetch {URL} on another "
            f"machine and put it into {folder}"
        ) from error
    return path


def _read(path: Path, split: str) -> tuple[dict[str, bytes], dict[tuple[str, str], bytes]]:
    """Return the split's binary files by name, and its pictures by class and name."""
    binary, pictures = {}, {}
    for name, content in _contents(path, split):
        parts = PurePosixPath(name).parts
        if parts[-1] in BINARY_FILES[split]:
            binary[parts[-1]] = content
        else:
            pictures[parts[-2], parts[-1]] = content
    return binary, pictures


def _contents(path: Path, split: str) -> Iterator[tuple[str, bytes]]:
    wanted = re.compile(
        rf"(.*/)?({split}/({'|'.join(CLASSES)})/[^./][^/]*\.(jpe?g|png)|"
        rf"{'|'.join(map(re.escape, BINARY_FILES[split]))})"
    )
    with tqdm(desc=f"CIFAR-10 {split}", unit="file", file=sys.stderr, disable=None) as bar:
        if path.is_dir():
            for file in path.rglob("*"):
                if wanted.fullmatch(file.relative_to(path).as_posix()):
                    yield file.relative_to(path).as_posix(), file.read_bytes()
                    bar.update()
            return
        try:
            # One pass from the start: a compressed archive cannot be entered in the middle.
            with tarfile.open(path, "r|*") as archive:
                for member in archive:
                    if member.isreg() and wanted.fullmatch(member.name):
                        content = archive.extractfile(member)
                        assert content is not None  # a regular file has content
                        yield member.name, content.read()
                        bar.update()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise OfficialFileError(f"{path} is not a complete tar archive ({error})") from error


def _from_binary(
    path: Path, split: str, files: dict[str, bytes]
) -> tuple[UInt8[Tensor, "N 3 32 32"], Int64[Tensor, " N"]]:
    for name, expected in BINARY_FILES[split].items():
        if name not in files:
            raise OfficialFileError(f"{path} lacks {name} of CIFAR-10's binary version")
        found = hashlib.sha256(files[name]).hexdigest()
        if found != expected:
            raise OfficialFileError(
                f"{name} of {path} has the checksum {found} (SHA-256), expected {expected}: it is "
                "not the published file"
            )
    content = bytearray().join(files[name] for name in BINARY_FILES[split])
    records = torch.frombuffer(content, dtype=torch.uint8).view(-1, RECORD_BYTES)
    return records[:, 1:].reshape(-1, 3, SIDE, SIDE), records[:, 0].long()  # (N, 3, 32, 32), (N,)


def _from_pictures(
    pictures: dict[tuple[str, str], bytes],
) -> tuple[UInt8[Tensor, "N 3 32 32"], Int64[Tensor, " N"]]:
    names = sorted(pictures)
    pixels = torch.empty(len(names), 3, SIDE, SIDE, dtype=torch.uint8)
    bar = tqdm(names, desc="decoding", unit="image", file=sys.stderr, disable=None)
    for row, name in zip(pixels, bar, strict=True):
        row.copy_(_decode("/".join(name), pictures[name]))
    return pixels, torch.tensor([CLASSES.index(folder) for folder, _ in names])


def _decode(name: str, content: bytes) -> UInt8[Tensor, "3 32 32"]:
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            values = np.array(image.convert("RGB"))
    # Pillow's decoders raise many kinds of exceptions.
    except Exception as error:
        raise OfficialFileError(f"{name} of CIFAR-10 does not decode ({error})") from error
    if values.shape != (SIDE, SIDE, 3):
        raise OfficialFileError(
            f"{name} has {values.shape[1]} x {values.shape[0]} pixels, expected {SIDE} x {SIDE}"
        )
    return torch.from_numpy(values).permute(2, 0, 1)  # (3, 32, 32)


def _require_balance(path: Path, split: str, labels: Int64[Tensor, " N"]) -> None:
    counts = torch.bincount(labels, minlength=len(CLASSES)).tolist()
    if counts != [N_PER_CLASS[split]] * len(CLASSES):
        raise OfficialFileError(
            f"{path} has {counts} images of the ten classes in {split}, expected "
            f"{N_PER_CLASS[split]} of each"
        )
