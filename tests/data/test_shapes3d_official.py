"""Every check on the published file, on synthetic files of the same layout."""

import dataclasses
import hashlib
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seethrough.data import OfficialFileError
from seethrough.data.shapes3d_official import (
    OFFICIAL,
    OfficialSpecification,
    read_official,
    read_rows,
)

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

SIZES = (2, 2, 1, 2, 3, 2)
VALUES = tuple(tuple(0.5 * i - 1 for i in range(size)) for size in SIZES)
N = math.prod(SIZES)


def arrays() -> dict[str, np.ndarray]:
    classes = np.unravel_index(np.arange(N), SIZES)
    columns = [np.array(t)[c] for t, c in zip(VALUES, classes, strict=True)]
    return {
        "images": np.random.default_rng(0).integers(0, 256, (N, 4, 5, 3), dtype=np.uint8),
        "labels": np.stack(columns, axis=1),
    }


def write(path: Path, **changes: np.ndarray | None) -> Path:
    with h5py.File(path, "w") as file:
        for key, array in {**arrays(), **changes}.items():
            if array is not None:
                chunks = (7, *(max(1, size // 2) for size in array.shape[1:]))
                file.create_dataset(key, data=array, chunks=chunks, compression="gzip")
    return path


def specification(path: Path | None = None) -> OfficialSpecification:
    """What the synthetic file must hold; with a path, size and checksum are that file's own."""
    content = b"" if path is None else path.read_bytes()
    return OfficialSpecification(
        name="synthetic",
        factor_sizes=SIZES,
        factor_values=VALUES,
        image_shape=(3, 4, 5),
        n_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def refusal(path: Path, spec: OfficialSpecification | None = None) -> str:
    with pytest.raises(OfficialFileError) as caught:
        read_official(path, spec or specification(path))
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    return message


def test_good_file_is_read(tmp_path, capsys):
    path = write(tmp_path / "good.h5")
    dataset = read_official(path, specification(path))
    index = torch.arange(N)
    assert dataset.name == "synthetic"
    assert dataset.max_value == 255
    assert dataset.factor_names[-1] == "orientation"
    assert dataset.images(index).shape == (N, 3, 4, 5)
    assert np.array_equal(dataset.images(index).permute(0, 2, 3, 1).numpy(), arrays()["images"])
    # Index 5 = 2 * 2 + 1: third class of the fifth factor, second of the last.
    assert dataset.classes(torch.tensor([5])).tolist() == [[0, 0, 0, 0, 2, 1]]
    assert capsys.readouterr().out == ""


def test_images_come_in_the_order_asked_for_and_repeated(tmp_path):
    path = write(tmp_path / "good.h5")
    dataset = read_official(path, specification(path))
    index = torch.tensor([47, 0, 8, 0, 30, 7])
    expected = torch.from_numpy(arrays()["images"]).permute(0, 3, 1, 2)[index]
    assert torch.equal(dataset.images(index), expected)
    assert dataset.images(index).is_contiguous()
    assert dataset.images(index[:0]).shape == (0, 3, 4, 5)
    with pytest.raises(IndexError, match="from 0 to 47, got 48"):
        dataset.images(torch.tensor([0, 48]))


class CountedArray:
    """An array in chunks that counts what is read."""

    def __init__(self, rows: np.ndarray, chunks: tuple[int, ...] | None) -> None:
        self.rows, self.chunks, self.shape = rows, chunks, rows.shape
        self.read: list[tuple[int, int]] = []

    def __getitem__(self, some: slice) -> np.ndarray:
        self.read.append((some.start, some.stop))
        return self.rows[some]


def test_each_run_of_chunks_is_read_once_and_in_the_files_order():
    array = CountedArray(np.arange(20, dtype=np.uint8)[:, None], chunks=(6, 1))
    rows = read_rows(array, np.array([13, 2, 19, 0, 12, 2]))
    assert rows[:, 0].tolist() == [13, 2, 19, 0, 12, 2]
    assert array.read == [(0, 6), (12, 18), (18, 24)]


def test_an_array_without_chunks_is_read_row_by_row():
    array = CountedArray(np.arange(20, dtype=np.uint8)[:, None], chunks=None)
    assert read_rows(array, np.array([9, 3, 9]))[:, 0].tolist() == [9, 3, 9]
    assert array.read == [(3, 4), (9, 10)]


def test_file_that_has_gone_since(tmp_path):
    path = write(tmp_path / "good.h5")
    dataset = read_official(path, specification(path))
    path.unlink()
    with pytest.raises(OfficialFileError, match="good.h5"):
        dataset.images(torch.tensor([0]))


def test_missing_file(tmp_path):
    message = refusal(tmp_path / "nothing.h5", specification())
    assert "does not exist" in message
    assert "3dshapes.h5" in message
    assert "re-rendered" in message


def test_folder_instead_of_file(tmp_path):
    assert "is not a file" in refusal(tmp_path, specification())


@pytest.mark.parametrize("content", [b"", b"version 1\nsize 267573662\n"])
def test_foreign_file(tmp_path, content):
    path = tmp_path / "pointer.h5"
    path.write_bytes(content)
    message = refusal(path)
    assert "not a complete HDF5 file" in message
    assert "re-rendered" in message


@pytest.mark.parametrize("share_kept", [0.05, 0.5, 0.999])
def test_truncated_file(tmp_path, share_kept):
    whole = write(tmp_path / "whole.h5").read_bytes()
    path = tmp_path / "short.h5"
    path.write_bytes(whole[: int(share_kept * len(whole))])
    assert "truncated" in refusal(path)


def test_damaged_chunks(tmp_path):
    path = write(tmp_path / "damaged.h5")
    with h5py.File(path) as file:
        start = file["labels"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    for at in range(start, start + 8):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_damage_anywhere_is_refused_by_the_checksum(tmp_path):
    whole = write(tmp_path / "good.h5")
    spec = specification(whole)
    content = whole.read_bytes()
    generator = np.random.default_rng(0)
    path = tmp_path / "damaged.h5"
    for at in generator.integers(0, len(content), 100):
        path.write_bytes(content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :])
        assert refusal(path, spec)


def test_missing_arrays(tmp_path):
    assert "lacks the arrays images;" in refusal(write(tmp_path / "few.h5", images=None))
    path = write(tmp_path / "none.h5", images=None, labels=None)
    assert "lacks the arrays images, labels;" in refusal(path)


def test_group_in_place_of_an_array(tmp_path):
    path = write(tmp_path / "group.h5", images=None)
    with h5py.File(path, "a") as file:
        file.create_group("images")
    assert "images of shape None" in refusal(path)


def test_another_shape(tmp_path):
    path = write(tmp_path / "shape.h5", images=np.zeros((N, 3, 4, 5), dtype=np.uint8))
    assert f"images of shape ({N}, 3, 4, 5) and type uint8, expected ({N}, 4, 5, 3)" in refusal(
        path
    )


@pytest.mark.parametrize(("key", "dtype"), [("images", "int8"), ("labels", "float32")])
def test_another_type(tmp_path, key, dtype):
    path = write(tmp_path / "type.h5", **{key: arrays()[key].astype(dtype)})
    assert f"and type {dtype}, expected" in refusal(path)


def test_another_size(tmp_path):
    path = write(tmp_path / "good.h5")
    spec = specification(path)
    with path.open("ab") as file:
        file.write(b"more")
    assert f"has {spec.n_bytes + 4:,} bytes, expected {spec.n_bytes:,}" in refusal(path, spec)


def test_tampered_file_fails_the_checksum(tmp_path):
    spec = specification(write(tmp_path / "good.h5"))
    path = write(tmp_path / "tampered.h5")
    with h5py.File(path, "a") as file:
        labels = file["labels"][:]
        labels[0, 0] += 1e-6
        file["labels"][:] = labels
    message = refusal(path, dataclasses.replace(spec, n_bytes=path.stat().st_size))
    assert "checksum" in message
    assert spec.sha256 in message


def test_another_order(tmp_path):
    labels = arrays()["labels"]
    labels[[3, 4]] = labels[[4, 3]]
    path = write(tmp_path / "order.h5", labels=labels)
    # Row 3 should be the second class of the fifth factor and of the last: -0.5 and -0.5.
    message = refusal(path)
    assert "row 3 is [-1.0, -1.0, -1.0, -1.0, 0.0, -1.0]" in message
    assert "expected [-1.0, -1.0, -1.0, -1.0, -0.5, -0.5]" in message


@pytest.mark.parametrize("wrong", [-1.002, math.nan])
def test_other_labels(tmp_path, wrong):
    labels = arrays()["labels"]
    labels[7, 2] = wrong
    assert "other labels: row 7" in refusal(write(tmp_path / "labels.h5", labels=labels))


def test_labels_rounded_to_single_precision_pass(tmp_path):
    labels = (arrays()["labels"] + 1e-4).astype("float32").astype("float64")
    path = write(tmp_path / "labels.h5", labels=labels)
    assert len(read_official(path, specification(path))) == N


def test_without_h5py_the_refusal_says_what_to_install(tmp_path, monkeypatch):
    path = write(tmp_path / "good.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert "pip install h5py" in refusal(path)


def test_official_specification_is_the_release():
    assert OFFICIAL.headers["images"] == ((480_000, 64, 64, 3), "uint8")
    assert OFFICIAL.headers["labels"] == ((480_000, 6), "float64")
    assert OFFICIAL.n_bytes == 267_573_662
    assert len(OFFICIAL.sha256) == 64
