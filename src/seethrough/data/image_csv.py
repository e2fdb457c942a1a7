"""Pictures with their labels in a CSV, the files in a folder or in an uncompressed tar."""

import csv
from dataclasses import dataclass
from pathlib import Path

from seethrough.data.image_files import ImageFiles
from seethrough.data.preprocessing import Preprocessing
from seethrough.data.stored_files import FolderFiles, TarFiles

COLUMNS = ("file", "class_index")
"""Columns a CSV must have; `class_name` is read where present, others are not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the CSV."""

    line: int
    """Its number in the file, from 1."""
    file: str
    """Name of the picture's file in the folder or tar."""
    class_index: int
    """Class, 0 to C - 1."""
    class_name: str
    """Name of the class, empty where the CSV has none."""


class ImageCsv(ImageFiles):
    """The pictures a CSV lists, in its order."""

    def __init__(
        self,
        labels: str | Path,
        images: str | Path,
        n_classes: int,
        preprocessing: Preprocessing,
        name: str = "",
    ) -> None:
        """Read the labels, find the files and open their headers.

        `labels` is the CSV, in UTF-8 with the columns file and class_index, and class_name if the
        names are known (a class without a name is called by its number); `images` is a folder or a
        tar; `n_classes` is C, the number of the classifier's classes. What does not decode is told
        in `seethrough.data.image_files`.

        Raises:
            ValueError: a missing file or column, no rows, a class that is no whole number or
                outside 0 to C - 1, one class only, a file listed twice or not there, two names for
                one class.
        """
        labels, images = Path(labels), Path(images)
        rows = _read_rows(labels)
        _require_classes(labels, rows, n_classes)
        files = _open_files(images)
        _require_files(labels, rows, images, files)
        super().__init__(
            name or labels.parent.name,
            files,
            [row.file for row in rows],
            [row.class_index for row in rows],
            _class_names(labels, rows, n_classes),
            preprocessing,
        )


def _read_rows(path: Path) -> list[Row]:
    if not path.is_file():
        raise ValueError(f"{path} does not exist or is not a file: expected a CSV of labels")
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            missing = [column for column in COLUMNS if column not in (reader.fieldnames or ())]
            if missing:
                raise ValueError(
                    f"{path} lacks the column {', '.join(missing)}, needed are {', '.join(COLUMNS)}"
                )
            rows = [_row(path, reader.line_num, record) for record in reader]
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is not a CSV in UTF-8 ({error})") from error
    if not rows:
        raise ValueError(f"{path} lists no pictures, needed are at least two classes")
    return rows


def _row(path: Path, line: int, record: dict[str, str | None]) -> Row:
    file, index = record["file"], record["class_index"]
    if not file or index is None or not index.strip().isdecimal():
        raise ValueError(
            f"line {line} of {path} has the file {file!r} and the class_index {index!r}, allowed "
            "are a file's name and a whole number from 0"
        )
    return Row(
        line=line, file=file, class_index=int(index), class_name=record.get("class_name") or ""
    )


def _require_classes(path: Path, rows: list[Row], n_classes: int) -> None:
    wrong = [row for row in rows if row.class_index >= n_classes]
    if wrong:
        raise ValueError(
            f"{len(wrong)} labels of {path} are out of range, the first in line {wrong[0].line}: "
            f"class_index is {wrong[0].class_index}, allowed is 0 to {n_classes - 1}"
        )


def _open_files(images: Path) -> FolderFiles | TarFiles:
    if images.is_dir():
        return FolderFiles(images)
    if images.is_file():
        return TarFiles.index(images)
    raise ValueError(f"{images} does not exist: expected a folder or a tar of pictures")


def _require_files(
    path: Path, rows: list[Row], images: Path, files: FolderFiles | TarFiles
) -> None:
    lines: dict[str, int] = {}
    for row in rows:
        if row.file in lines:
            raise ValueError(
                f"{path} lists {row.file} in the lines {lines[row.file]} and {row.line}, allowed "
                "is once"
            )
        lines[row.file] = row.line
    missing = [row.file for row in rows if row.file not in files]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(rows)} files that {path} lists are not in {images}: "
            f"{', '.join(missing[:5])}{', ...' if len(missing) > 5 else ''}"
        )


def _class_names(path: Path, rows: list[Row], n_classes: int) -> tuple[str, ...]:
    names: dict[int, str] = {}
    for row in rows:
        known = names.setdefault(row.class_index, row.class_name)
        if row.class_name != known:
            raise ValueError(
                f"line {row.line} of {path} calls class {row.class_index} {row.class_name!r}, a "
                f"line before {known!r}: allowed is one name per class"
            )
    return tuple(names.get(i) or str(i) for i in range(n_classes))
