"""CIFAR-10 in its binary version and as a copy, made small for the test."""

import hashlib
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seethrough.data import cifar10
from seethrough.data.cifar10 import CLASSES, Cifar10, download_cifar10
from seethrough.data.official_file import OfficialFileError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "cifar10_jpg.tar.xz"
FILES = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}


def records(n: int, seed: int) -> np.ndarray:
    """n records, n a multiple of ten: the class, then 3,072 values."""
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 256, (n, 3073), dtype=np.uint8)
    values[:, 0] = generator.permutation(np.arange(n) % 10)
    return values


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A binary version of 20 images a file, whose checksums are taken for the published ones."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    sums: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    for split, names in FILES.items():
        for seed, name in enumerate(names):
            content = records(20, seed + (split == "test") * 10).tobytes()
            (folder / name).write_bytes(content)
            sums[split][name] = hashlib.sha256(content).hexdigest()
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES))
    monkeypatch.setattr(cifar10, "BINARY_FILES", sums)
    monkeypatch.setattr(cifar10, "N_PER_CLASS", {"train": 10, "test": 2})
    return folder


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy with two images a class in train and one in test; class c, image i is 20 c + i."""
    root = tmp_path / "copy"
    for split, n in (("train", 2), ("test", 1)):
        for number, name in enumerate(CLASSES):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                level = 20 * number + i
                image = Image.new("RGB", (32, 32), (level, level, level))
                image.save(root / split / name / f"{i:04d}.jpg")
    (root / "README.md").write_text("no picture")
    monkeypatch.setattr(cifar10, "N_PER_CLASS", {"train": 2, "test": 1})
    return root


def pack(folder: Path, path: Path, mode: str) -> Path:
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname=folder.name)
    return path


def test_published_names_and_numbers() -> None:
    assert {split: list(files) for split, files in cifar10.BINARY_FILES.items()} == FILES
    assert cifar10.N_PER_CLASS == {"train": 5000, "test": 1000}
    assert cifar10.RECORD_BYTES == 3073


def test_record_by_hand(published: Path) -> None:
    # Red is the first plane, row by row: pixel (row 2, column 5) of blue is value 2048 + 69.
    data = Cifar10(published, "test")
    expected = records(20, 10)
    assert data.name == "CIFAR-10"
    assert data.pixels.shape == (20, 3, 32, 32)
    assert data.labels.tolist() == expected[:, 0].tolist()
    assert data.pixels[7, 2, 2, 5] == expected[7, 1 + 2048 + 69]
    assert data.pixels[7, 0, 0, 1] == expected[7, 2]


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("mode", ["", "w:gz", "w:"])
def test_folder_and_archive_hold_the_same(published: Path, split: str, mode: str) -> None:
    path = pack(published, published.parent / "cifar-10-binary.tar", mode) if mode else published
    data = Cifar10(path, split)
    seeds = range(5) if split == "train" else [10]
    expected = torch.from_numpy(np.concatenate([records(20, seed) for seed in seeds]))
    assert torch.equal(data.labels, expected[:, 0].long())
    assert torch.equal(data.pixels, expected[:, 1:].view(-1, 3, 32, 32))


def test_images_are_normalised_by_channel(published: Path) -> None:
    data = Cifar10(published)
    index = torch.tensor([3, 0, 3])
    mean = torch.tensor([0.4914, 0.4822, 0.4465]).view(3, 1, 1)
    std = torch.tensor([0.2470, 0.2435, 0.2616]).view(3, 1, 1)
    expected = (data.pixels[index] / 255 - mean) / std
    assert torch.allclose(data.images(index), expected, atol=1e-6)
    assert data.image_shape == (3, 32, 32)


def test_upscaling_makes_squares(published: Path) -> None:
    index = torch.tensor([4, 1])
    native, larger = Cifar10(published).images(index), Cifar10(published, upscaling=3)
    images = larger.images(index)
    assert images.shape == (2, *larger.image_shape) == (2, 3, 96, 96)
    for row, column in ((0, 0), (1, 2), (2, 1)):
        assert torch.equal(images[:, :, row::3, column::3], native)


def test_changed_byte_is_noticed(published: Path) -> None:
    content = bytearray((published / "data_batch_3.bin").read_bytes())
    content[1000] ^= 1
    (published / "data_batch_3.bin").write_bytes(content)
    with pytest.raises(OfficialFileError, match=r"data_batch_3.bin of .* checksum .* expected"):
        Cifar10(published, "train")
    assert len(Cifar10(published, "test")) == 20


def test_missing_batch_is_noticed(published: Path) -> None:
    (published / "data_batch_5.bin").unlink()
    with pytest.raises(OfficialFileError, match=r"lacks data_batch_5.bin"):
        Cifar10(published, "train")


@pytest.mark.parametrize("mode", ["", "w:xz"])
def test_copy_is_ordered_by_class_and_name(copy: Path, mode: str) -> None:
    path = pack(copy, copy.parent / "copy.tar.xz", mode) if mode else copy
    data = Cifar10(path, "train")
    assert data.name == "CIFAR-10 (recompressed copy)"
    assert data.labels.tolist() == [c for c in range(10) for _ in range(2)]
    levels = torch.tensor([20 * c + i for c in range(10) for i in range(2)])
    # JPEG may move a plain grey by one.
    assert (data.pixels[:, 0, 16, 16].int() - levels).abs().max() <= 1
    assert len(Cifar10(path, "test")) == 10


def test_copy_lacking_a_picture_is_refused(copy: Path) -> None:
    (copy / "test" / "frog" / "0000.jpg").unlink()
    with pytest.raises(OfficialFileError, match=r"\[1, 1, 1, 1, 1, 1, 0, 1, 1, 1\] .* 1 of each"):
        Cifar10(copy, "test")


def test_picture_of_another_size_is_refused(copy: Path) -> None:
    Image.new("RGB", (32, 31)).save(copy / "test" / "ship" / "0000.jpg")
    with pytest.raises(OfficialFileError, match=r"ship/0000.jpg has 32 x 31 pixels"):
        Cifar10(copy, "test")


def test_undecodable_picture_is_refused(copy: Path) -> None:
    (copy / "test" / "deer" / "0000.jpg").write_bytes(b"no picture")
    with pytest.raises(OfficialFileError, match=r"deer/0000.jpg of CIFAR-10 does not decode"):
        Cifar10(copy, "test")


def test_other_places_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OfficialFileError, match="nowhere does not exist"):
        Cifar10(tmp_path / "nowhere")
    with pytest.raises(OfficialFileError, match=r"neither test_batch.bin nor pictures in test/"):
        Cifar10(tmp_path)
    (tmp_path / "file.tar").write_bytes(b"no archive" * 1000)
    with pytest.raises(OfficialFileError, match=r"file.tar is not a complete tar archive"):
        Cifar10(tmp_path / "file.tar")


def test_truncated_archive_is_refused(published: Path, tmp_path: Path) -> None:
    path = pack(published, tmp_path / "c.tar.gz", "w:gz")
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(OfficialFileError, match=r"c.tar.gz is not a complete tar archive"):
        Cifar10(path, "train")


def test_pickled_version_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "test_batch").write_bytes(b"cos\nsystem\n(S'exit'\ntR.")
    with pytest.raises(OfficialFileError, match="it is not CIFAR-10"):
        Cifar10(tmp_path)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"split": "validation"}, "split is 'validation', allowed are train, test"),
        ({"upscaling": 0}, "upscaling is 0, allowed is at least 1"),
    ],
)
def test_wrong_values_are_refused(copy: Path, wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cifar10(copy, **wrong)


def test_download_keeps_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def fetch(url: str, target: str, checksum: str, progress: bool) -> None:
        calls.append((url, checksum))
        Path(target).write_bytes(b"archive")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    first, second = download_cifar10(tmp_path / "new"), download_cifar10(tmp_path / "new")
    assert first == second == tmp_path / "new" / "cifar-10-binary.tar.gz"
    assert calls == [(cifar10.URL, cifar10.ARCHIVE_SHA256)]


def test_failed_download_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    with pytest.raises(OfficialFileError, match=r"\(no network\); without network, fetch https://"):
        download_cifar10(tmp_path)


@pytest.mark.slow
def test_real_copy() -> None:
    if not SHARED.is_file():
        pytest.skip("the copy of CIFAR-10 is not at ../shared/data")
    data = Cifar10(SHARED, "train")
    # Recompressed, so its channel means are those of CIFAR-10 to about 0.0002.
    means = data.pixels.double().mean(dim=(0, 2, 3)) / 255
    assert torch.allclose(means, torch.tensor(cifar10.MEAN).double(), atol=3e-4)
