"""Pictures on demand: their order, what does not decode, and when that is noticed."""

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seethrough.data.image_files import (
    ImageFiles,
    UndecodableImageError,
    UndecodableImageWarning,
)
from seethrough.data.preprocessing import Preprocessing
from seethrough.data.stored_files import FolderFiles

PREPROCESSING = Preprocessing(size=4, crop_fraction=None, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
NAMES = ("cat", "dog", "eel")


def png(level: int, size: int = 4) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), (level, level, level)).save(file, "png")
    return file.getvalue()


def cut_jpeg() -> bytes:
    """A JPEG that ends in the middle of its picture: its header is sound."""
    values = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "jpeg")
    return file.getvalue()[: len(file.getvalue()) // 2]


def write(folder: Path, contents: dict[str, bytes]) -> FolderFiles:
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return FolderFiles(folder)


def make(folder: Path, contents: dict[str, bytes], labels: Sequence[int]) -> ImageFiles:
    files = write(folder, contents)
    return ImageFiles("zoo", files, list(contents), labels, NAMES, PREPROCESSING)


@pytest.fixture
def levels(tmp_path: Path) -> ImageFiles:
    """Picture i is 10 i everywhere, its class i modulo 3."""
    contents = {f"{i}.png": png(10 * i) for i in range(8)}
    return make(tmp_path, contents, [i % 3 for i in range(8)])


def test_images_in_the_order_of_the_index(levels: ImageFiles) -> None:
    index = torch.tensor([5, 0, 7, 5])
    images = levels.images(index)
    assert images.shape == (4, *levels.image_shape)
    assert torch.allclose(images, (10 * index / 255)[:, None, None, None].expand(-1, 3, 4, 4))


def test_no_images(levels: ImageFiles) -> None:
    assert levels.images(torch.empty(0, dtype=torch.int64)).shape == (0, 3, 4, 4)


def test_image_does_not_depend_on_the_others(levels: ImageFiles) -> None:
    together = levels.images(torch.arange(8))
    alone = torch.cat([levels.images(torch.tensor([i])) for i in range(8)])
    assert torch.equal(together, alone)


def test_batches_equal_images(levels: ImageFiles) -> None:
    index = torch.tensor([7, 1, 1, 4, 0])
    images, labels = zip(*levels.batches(index, 2), strict=True)
    assert [len(batch) for batch in images] == [2, 2, 1]
    assert torch.equal(torch.cat(images), levels.images(index))
    assert torch.cat(labels).tolist() == [1, 1, 1, 1, 0]


def test_batches_may_be_left_early(levels: ImageFiles) -> None:
    batches = levels.batches(torch.arange(8), 3)
    next(batches)
    batches.close()


def test_batches_refuse_what_the_interface_refuses(levels: ImageFiles) -> None:
    with pytest.raises(ValueError, match="batch_size is 0"):
        next(levels.batches(torch.tensor([0]), 0))
    with pytest.raises(ValueError, match="index 8 is not there"):
        next(levels.batches(torch.tensor([8]), 1))
    with pytest.raises(ValueError, match="index 8 is not there"):
        levels.images(torch.tensor([8]))


def test_bad_header_is_left_out_reported_and_counted(tmp_path: Path) -> None:
    contents = {"a.png": png(0), "b.png": b"no picture", "c.png": png(30), "d.png": b""}
    with pytest.warns(
        UndecodableImageWarning, match=r"2 of 4 files of zoo .* b.png \(Unident.*d.png \(Unident"
    ) as found:
        images = make(tmp_path, contents, [0, 1, 2, 1])
    assert len(found) == 1
    assert images.undecodable == ("b.png", "d.png")
    assert images.paths == ("a.png", "c.png")
    assert images.labels.tolist() == [0, 2]
    assert images.images(torch.tensor([1]))[0, 0, 0, 0].item() == pytest.approx(30 / 255)


def test_many_bad_headers_are_counted_and_five_named(tmp_path: Path) -> None:
    contents = {"a.png": png(0), "b.png": png(9)} | {f"x{i}.png": b"?" for i in range(8)}
    with pytest.warns(UndecodableImageWarning, match=r"8 of 10 .*x4.png .* and 3 more$") as found:
        images = make(tmp_path, contents, [0, 1] + [0] * 8)
    assert "x5.png" not in str(found[0].message)
    assert len(images.undecodable) == 8


def test_damaged_content_stops_with_the_path(tmp_path: Path) -> None:
    images = make(tmp_path, {"a.png": png(0), "cut.jpg": cut_jpeg()}, [0, 1])
    assert images.undecodable == ()
    images.images(torch.tensor([0]))
    for attempt in (
        lambda: images.images(torch.tensor([1])),
        lambda: list(images.batches(torch.tensor([0, 1]), 1)),
    ):
        with pytest.raises(UndecodableImageError, match=r"cut.jpg of zoo .*truncated.*replace"):
            attempt()


def test_picture_too_small_stops_with_the_path(tmp_path: Path) -> None:
    images = make(tmp_path, {"a.png": png(0), "small.png": png(0, size=3)}, [0, 1])
    with pytest.raises(UndecodableImageError, match=r"small.png .*3 x 3 pixels is smaller"):
        images.images(torch.tensor([1]))


def test_other_formats_are_not_opened(tmp_path: Path) -> None:
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "gif")
    contents = {"a.png": png(0), "b.png": png(1), "gif.png": file.getvalue()}
    with pytest.warns(UndecodableImageWarning, match=r"1 of 3 .*gif.png"):
        make(tmp_path, contents, [0, 1, 2])


def test_sound_pictures_give_no_warning(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(tmp_path, {"a.png": png(0), "b.png": png(1)}, [0, 1])


def test_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zoo has pictures of one class only, dog: needed are at"):
        make(tmp_path, {"a.png": png(0), "b.png": png(1)}, [1, 1])


@pytest.mark.filterwarnings("ignore::seethrough.data.image_files.UndecodableImageWarning")
def test_nothing_that_decodes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="zoo has no picture that decodes"):
        make(tmp_path, {"a.png": b"?", "b.png": b"?"}, [0, 1])


@pytest.mark.filterwarnings("ignore::seethrough.data.image_files.UndecodableImageWarning")
def test_one_class_left_over_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one class only, cat"):
        make(tmp_path, {"a.png": png(0), "b.png": b"?"}, [0, 1])
