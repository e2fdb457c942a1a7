"""Folders of class folders: order, classes, and what is refused."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from seethrough.data.image_files import UndecodableImageWarning
from seethrough.data.image_folder import ImageFolder, imagenet_class_index
from seethrough.data.preprocessing import Preprocessing

PREPROCESSING = Preprocessing(size=4, crop_fraction=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def draw(path: Path, level: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 5), (level, level, level)).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two eels, one dog, one cat, in files of several endings, and what is no picture."""
    root = tmp_path / "zoo"
    draw(root / "eel" / "b.jpg", 40)
    draw(root / "eel" / "a.JPEG", 30)
    draw(root / "dog" / "sub" / "c.png", 20)
    draw(root / "cat" / "d.jpeg", 10)
    draw(root / ".hidden" / "e.png", 99)
    draw(root / "dog" / ".f.png", 99)
    (root / "dog" / "notes.txt").write_text("no picture")
    (root / "labels.csv").write_text("no folder")
    return root


def test_classes_and_files_in_order(root: Path) -> None:
    images = ImageFolder(root, PREPROCESSING)
    assert images.name == "zoo"
    assert images.class_names == ("cat", "dog", "eel")
    assert images.paths == ("cat/d.jpeg", "dog/sub/c.png", "eel/a.JPEG", "eel/b.jpg")
    assert images.labels.tolist() == [0, 1, 2, 2]
    assert images.undecodable == ()
    shades = images.images(torch.arange(4))[:, 0, 0, 0] * 255
    assert torch.allclose(shades, torch.tensor([10.0, 20.0, 30.0, 40.0]), atol=1)


def test_name_may_be_given(root: Path) -> None:
    assert ImageFolder(root, PREPROCESSING, name="animals").name == "animals"


def test_classes_of_a_wider_head(root: Path) -> None:
    class_index = {"eel": 0, "ant": 1, "dog": 2, "cat": 3}
    images = ImageFolder(root, PREPROCESSING, class_index)
    assert images.class_names == ("eel", "ant", "dog", "cat")
    assert images.labels.tolist() == [3, 2, 0, 0]


def test_folder_without_an_index_is_refused(root: Path) -> None:
    with pytest.raises(ValueError, match=r"index: dog \(did you mean dogs\?\), 1 of 3; .* 3 names"):
        ImageFolder(root, PREPROCESSING, {"cat": 0, "dogs": 1, "eel": 2})


@pytest.mark.parametrize("index", [{"cat": 0, "dog": 1, "eel": 3}, {"cat": 0, "dog": 1, "eel": 1}])
def test_index_with_gaps_or_twice_is_refused(root: Path, index: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="indices of 3 classes, allowed is each of 0 to 2 once"):
        ImageFolder(root, PREPROCESSING, index)


def test_undecodable_file_is_reported(root: Path) -> None:
    (root / "cat" / "broken.jpg").write_bytes(b"no picture")
    with pytest.warns(UndecodableImageWarning, match=r"1 of 5 files of zoo .*cat/broken.jpg"):
        images = ImageFolder(root, PREPROCESSING)
    assert images.undecodable == ("cat/broken.jpg",)
    assert len(images) == 4


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere does not exist or is not a folder"):
        ImageFolder(tmp_path / "nowhere", PREPROCESSING)


def test_folder_without_class_folders_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "a.png")
    with pytest.raises(ValueError, match="has no class folders, expected root/<class>/<picture>"):
        ImageFolder(tmp_path, PREPROCESSING)


def test_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "dog").mkdir()
    with pytest.raises(ValueError, match=r"has no pictures, expected files ending in \.jpg"):
        ImageFolder(tmp_path, PREPROCESSING)


def test_empty_class_folder_is_refused(root: Path) -> None:
    (root / "fox").mkdir()
    with pytest.raises(ValueError, match=r"class folders of .* without pictures: fox \(1 of 4\)"):
        ImageFolder(root, PREPROCESSING)


def test_one_class_is_refused(tmp_path: Path) -> None:
    draw(tmp_path / "cat" / "a.png")
    with pytest.raises(ValueError, match="one class only, cat"):
        ImageFolder(tmp_path, PREPROCESSING)


def test_imagenet_classes_are_the_sorted_wnids() -> None:
    index = imagenet_class_index()
    assert list(index) == sorted(index)
    assert list(index.values()) == list(range(1000))
    # Tench, the first class, and the last, toilet tissue.
    assert (index["n01440764"], index["n15075141"]) == (0, 999)
