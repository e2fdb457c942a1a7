"""Every check on the published file, on synthetic files of the same layout."""

import dataclasses
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from seethrough.data import OfficialFileError
from seethrough.data.dsprites_official import (
    OFFICIAL,
    OfficialSpecification,
    git_blob_id,
    read_official,
)

SIZES = (3, 2, 2, 2, 2)
VALUES = tuple(tuple(0.1 * i for i in range(size)) for size in SIZES)
N = math.prod(SIZES)


class Bomb:
    """An object whose unpickling fails loudly."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the metadata was unpickled')",)


def arrays() -> dict[str, np.ndarray]:
    classes = np.stack(np.unravel_index(np.arange(N), (1, *SIZES)), axis=1).astype(np.int64)
    tables = [(1.0,), *VALUES]
    return {
        "imgs": np.random.default_rng(0).integers(0, 2, (N, 8, 8), dtype=np.uint8),
        "latents_classes": classes,
        "latents_values": np.stack(
            [np.array(table)[classes[:, f]] for f, table in enumerate(tables)], axis=1
        ),
        "metadata": np.array(Bomb(), dtype=object),
    }


def write(path: Path, **changes: np.ndarray | None) -> Path:
    contents = {**arrays(), **changes}
    np.savez_compressed(path, **{key: a for key, a in contents.items() if a is not None})
    return path


def specification(path: Path | None = None) -> OfficialSpecification:
    """What the synthetic file must hold; with a path, the checksum is that file's own."""
    return OfficialSpecification(
        name="synthetic",
        factor_sizes=SIZES,
        factor_values=VALUES,
        image_shape=(1, 8, 8),
        blob_id="0" * 40 if path is None else git_blob_id(path),
    )


def refusal(path: Path, spec: OfficialSpecification | None = None) -> str:
    with pytest.raises(OfficialFileError) as caught:
        read_official(path, spec or specification(path))
    message = str(caught.value)
    assert str(path) in message
    assert message.endswith(".")
    return message


def test_good_file_is_read_without_unpickling(tmp_path):
    path = write(tmp_path / "good.npz")
    dataset = read_official(path, specification(path))
    index = torch.arange(N)
    assert dataset.name == "synthetic"
    assert dataset.factor_names == ("shape", "scale", "orientation", "posX", "posY")
    assert np.array_equal(dataset.images(index)[:, 0].numpy(), arrays()["imgs"])
    assert np.array_equal(dataset.classes(index).numpy(), arrays()["latents_classes"][:, 1:])


def test_images_are_read_in_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr("seethrough.data.dsprites_official.IMAGES_PER_BLOCK", 7)
    path = write(tmp_path / "good.npz")
    dataset = read_official(path, specification(path))
    images = dataset.images(torch.arange(N))[:, 0]
    assert np.array_equal(images.numpy(), arrays()["imgs"])


def test_the_metadata_bomb_is_live(tmp_path):
    path = write(tmp_path / "good.npz")
    with np.load(path, allow_pickle=True) as file, pytest.raises(SystemExit, match="unpickled"):
        _ = file["metadata"]


def test_missing_file(tmp_path):
    assert "does not exist" in refusal(tmp_path / "nothing.npz", specification())


def test_folder_instead_of_file(tmp_path):
    assert "is not a file" in refusal(tmp_path, specification())


def test_foreign_file(tmp_path):
    path = tmp_path / "pointer.npz"
    path.write_text("version 1\nsize 26000000\n")
    assert "not a complete zip archive" in refusal(path)


@pytest.mark.parametrize("share_kept", [0.0, 0.3, 0.9, 0.999])
def test_truncated_file(tmp_path, share_kept):
    whole = write(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "short.npz"
    path.write_bytes(whole[: int(share_kept * len(whole))])
    assert "truncated" in refusal(path)


def test_damaged_member(tmp_path):
    path = write(tmp_path / "damaged.npz")
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.getinfo("imgs.npy").header_offset
    # Past the local header and name, well inside the compressed images.
    for at in range(start + 250, start + 260):
        content[at] ^= 0xFF
    path.write_bytes(content)
    assert "damaged" in refusal(path)


def test_missing_arrays(tmp_path):
    path = write(tmp_path / "few.npz", imgs=None, latents_values=None)
    assert "lacks the arrays imgs, latents_values" in refusal(path)


def test_another_shape(tmp_path):
    path = write(tmp_path / "shape.npz", imgs=np.zeros((N, 8, 16), dtype=np.uint8))
    assert f"imgs of shape ({N}, 8, 16), expected ({N}, 8, 8)" in refusal(path)


@pytest.mark.parametrize("dtype", ["int8", "float32", "bool", "object"])
def test_another_type(tmp_path, dtype):
    path = write(tmp_path / "type.npz", imgs=np.zeros((N, 8, 8), dtype=dtype))
    assert f"imgs of type {dtype}, expected uint8" in refusal(path)


def test_fortran_order(tmp_path):
    path = write(tmp_path / "order.npz", imgs=np.asfortranarray(arrays()["imgs"]))
    assert "uint8 in Fortran order, expected uint8 in C order" in refusal(path)


def test_member_that_is_no_array(tmp_path):
    path = write(tmp_path / "text.npz", imgs=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("imgs.npy", "not an array at all")
    assert "imgs without a valid array header" in refusal(path)


def test_array_shorter_than_its_header_says(tmp_path):
    path = write(tmp_path / "short.npz")
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content[:-9] if name == "imgs.npy" else content)
    assert "imgs ends early" in refusal(path)


def test_tampered_file_fails_the_checksum(tmp_path):
    spec = specification(write(tmp_path / "good.npz"))
    images = arrays()["imgs"]
    images[5, 2, 3] ^= 1
    path = write(tmp_path / "tampered.npz", imgs=images)
    message = refusal(path, spec)
    assert "checksum" in message
    assert spec.blob_id in message


def test_another_order(tmp_path):
    classes = arrays()["latents_classes"]
    classes[[3, 4]] = classes[[4, 3]]
    path = write(tmp_path / "order.npz", latents_classes=classes)
    assert "latents_classes in another order: row 3 is [0, 0, 0, 1, 0, 0]" in refusal(path)


@pytest.mark.parametrize("wrong", [0.7, math.nan])
def test_other_values(tmp_path, wrong):
    values = arrays()["latents_values"]
    values[7, 2] = wrong
    path = write(tmp_path / "values.npz", latents_values=values)
    assert "other latents_values: row 7" in refusal(path)


def test_grey_pixels(tmp_path):
    images = arrays()["imgs"]
    images[40, 1, 1] = 3
    path = write(tmp_path / "grey.npz", imgs=images)
    assert "imgs with the pixel value 3, expected 0 and 1" in refusal(path)


def test_blob_id_is_gits(tmp_path):
    # As printed by `git hash-object` for an empty file and for "hello\n".
    path = tmp_path / "file"
    path.write_bytes(b"")
    assert git_blob_id(path) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    path.write_bytes(b"hello\n")
    assert git_blob_id(path) == "ce013625030ba8dba906f756967f9e9ca394464a"


def test_official_specification_is_the_release():
    assert OFFICIAL.n_images == 737_280
    assert OFFICIAL.headers["imgs"] == ((737_280, 64, 64), "uint8")
    assert OFFICIAL.headers["latents_classes"] == ((737_280, 6), "int64")
    assert OFFICIAL.blob_id == "d98996d3f8ee1550e06b9d4ed78d0beb478910d5"
    assert dataclasses.replace(OFFICIAL, name="x").blob_id == OFFICIAL.blob_id
