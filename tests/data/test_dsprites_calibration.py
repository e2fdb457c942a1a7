"""Distance of the renderer from real images, on files made here and on published frames."""

from pathlib import Path

import numpy as np
import pytest
import torch

from seethrough.data.dsprites import render
from seethrough.data.dsprites_calibration import wrong_pixels

REAL_FRAMES = Path(__file__).resolve().parents[3] / "shared" / "data" / "dsprites_real_frames.npz"
CLASSES = torch.tensor([[0, 0, 0, 0, 0], [2, 3, 20, 5, 31], [1, 5, 7, 30, 2]])


def write(path: Path, **changes: np.ndarray) -> Path:
    images = render(CLASSES)[:, 0].numpy()
    np.savez(path, **{"images": images, "factors": CLASSES.numpy().astype("int8"), **changes})
    return path


def test_own_images_have_no_wrong_pixel(tmp_path):
    assert wrong_pixels(write(tmp_path / "own.npz")).tolist() == [0, 0, 0]


def test_every_changed_pixel_counts_in_its_own_image(tmp_path):
    images = render(CLASSES)[:, 0].numpy()
    images[0, :2, :3] ^= 1
    images[2, 63, 63] ^= 1
    assert wrong_pixels(write(tmp_path / "changed.npz", images=images)).tolist() == [6, 0, 1]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nothing\.npz is no npz of images and factors"):
        wrong_pixels(tmp_path / "nothing.npz")
    np.savez(tmp_path / "few.npz", images=np.zeros((1, 64, 64), dtype=np.uint8))
    with pytest.raises(ValueError, match="factors"):
        wrong_pixels(tmp_path / "few.npz")
    bomb = np.array([object()], dtype=object)
    with pytest.raises(ValueError, match="is no npz"):
        wrong_pixels(write(tmp_path / "pickle.npz", images=bomb))
    with pytest.raises(ValueError, match=r"factors of shape \(2, 5\), allowed are"):
        wrong_pixels(write(tmp_path / "short.npz", factors=CLASSES[:2].numpy()))
    with pytest.raises(ValueError, match="scale classes run from 0 to 5, got 6"):
        wrong_pixels(write(tmp_path / "class.npz", factors=np.array([[0, 6, 0, 0, 0]] * 3)))


@pytest.mark.skipif(not REAL_FRAMES.is_file(), reason="real frames of dSprites are not present")
def test_published_frames():
    wrong = wrong_pixels(REAL_FRAMES)
    assert len(wrong) == 160
    # The documented calibration: 0.42 wrong pixels on average, at most 4, none in 130 frames.
    assert round(float(wrong.double().mean()), 2) == 0.42
    assert int(wrong.max()) == 4
    assert int((wrong == 0).sum()) == 130
