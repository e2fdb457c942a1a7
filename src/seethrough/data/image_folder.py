"""A folder of class folders: root/<class>/<picture>, as ImageNet is usually unpacked."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from seethrough.data.image_files import ImageFiles
from seethrough.data.preprocessing import Preprocessing
from seethrough.data.stored_files import FolderFiles

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
"""Endings of picture files, in small or capital letters; other files are no pictures."""


class ImageFolder(ImageFiles):
    """The pictures below a folder, one class per folder, class by class and in order of names."""

    def __init__(
        self,
        root: str | Path,
        preprocessing: Preprocessing,
        class_index: Mapping[str, int] | None = None,
        name: str = "",
    ) -> None:
        """List the files and open their headers (see `seethrough.data.image_files`).

        Without `class_index` the classes are the folders in order of their names, 0, 1, 2, ...; a
        classifier trained on more classes needs the index of each, as from `imagenet_class_index`.
        Folders inside a class folder belong to the class. Names that begin with a dot are left
        aside.

        Raises:
            ValueError: the folder is missing, has no class folders, no pictures, or pictures of one
                class only; a class folder without pictures; a class that `class_index` lacks.
        """
        root = Path(root)
        if not root.is_dir():
            raise ValueError(f"{root} does not exist or is not a folder: expected class folders")
        found = {folder.name: _pictures(root, folder) for folder in _class_folders(root)}
        if not found:
            raise ValueError(f"{root} has no class folders, expected root/<class>/<picture>")
        if not any(found.values()):
            raise ValueError(f"{root} has no pictures, expected files ending in {_endings()}")
        empty = [folder for folder, paths in found.items() if not paths]
        if empty:
            raise ValueError(
                f"class folders of {root} without pictures: {', '.join(empty[:5])} ({len(empty)} "
                f"of {len(found)}), expected files ending in {_endings()}"
            )
        indices = _indices(list(found), class_index)
        super().__init__(
            name or root.name,
            FolderFiles(root),
            [path for paths in found.values() for path in paths],
            [indices[folder] for folder, paths in found.items() for _ in paths],
            _class_names(class_index or indices),
            preprocessing,
        )


def imagenet_class_index() -> dict[str, int]:
    """Return class folder (wnid) to index, 0 to 999, of ImageNet-1k: the sorted wnids."""
    from seethrough.models import torchvision_compatibility  # noqa: F401

    # isort: split
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo("imagenet-1k")
    return {wnid: i for i, wnid in enumerate(info.label_names())}


def _class_folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))


def _pictures(root: Path, folder: Path) -> list[str]:
    """Return the paths below the root of a class folder's pictures, in order."""
    paths = []
    for place, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [f for f in folders if not f.startswith(".")]
        wanted = [f for f in files if f.lower().endswith(SUFFIXES) and not f.startswith(".")]
        paths += [(Path(place) / f).relative_to(root).as_posix() for f in wanted]
    return sorted(paths)


def _indices(folders: list[str], class_index: Mapping[str, int] | None) -> Mapping[str, int]:
    if class_index is None:
        return {folder: i for i, folder in enumerate(folders)}
    missing = [folder for folder in folders if folder not in class_index]
    if missing:
        near = get_close_matches(missing[0], class_index, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"class folders without an index: {', '.join(missing[:5])}{hint}, {len(missing)} of "
            f"{len(folders)}; allowed are the {len(class_index)} names of class_index"
        )
    return class_index


def _class_names(class_index: Mapping[str, int]) -> tuple[str, ...]:
    names = sorted(class_index, key=lambda name: class_index[name])
    if [class_index[name] for name in names] != list(range(len(names))):
        raise ValueError(
            f"class_index has the indices of {len(names)} classes, allowed is each of "
            f"0 to {len(names) - 1} once"
        )
    return tuple(names)


def _endings() -> str:
    return ", ".join(SUFFIXES)
