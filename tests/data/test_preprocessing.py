"""The evaluation transform: by hand, and against timm's own."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from seethrough.data.preprocessing import INTERPOLATIONS, Preprocessing


def noise(width: int, height: int, seed: int = 0, mode: str = "RGB") -> Image.Image:
    generator = np.random.default_rng(seed)
    values = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def column_numbers(width: int, height: int) -> Image.Image:
    """Every pixel is (its column, its row, 7)."""
    values = np.zeros((height, width, 3), dtype=np.uint8)
    values[..., 0] = np.arange(width)
    values[..., 1] = np.arange(height)[:, None]
    values[..., 2] = 7
    return Image.fromarray(values)


def test_centre_is_cut_out_by_hand() -> None:
    # 227 - 224 = 3 pixels too many: one at the left, two at the right, the box (1, 1, 225, 225).
    preprocessing = Preprocessing(size=224, crop_fraction=None)
    pixels = preprocessing.pixels(column_numbers(227, 227))
    assert pixels.shape == (3, 224, 224)
    assert pixels[0, 0, [0, -1]].tolist() == [1, 224]
    assert pixels[1, [0, -1], 0].tolist() == [1, 224]
    assert pixels[2].unique().tolist() == [7]


def test_centre_of_a_wide_picture() -> None:
    # 10 wide, 6 high, 4 wanted: margins 6 and 2, so columns 3 to 6 and rows 1 to 4.
    pixels = Preprocessing(size=4, crop_fraction=None).pixels(column_numbers(10, 6))
    assert pixels[0, 0].tolist() == [3, 4, 5, 6]
    assert pixels[1, :, 0].tolist() == [1, 2, 3, 4]


def test_normalisation_by_hand() -> None:
    # (51 / 255 - 0.1) / 0.5 = 0.2; (255 / 255 - 0.5) / 0.25 = 2; (0 - 0.2) / 0.1 = -2.
    preprocessing = Preprocessing(size=1, mean=(0.1, 0.5, 0.2), std=(0.5, 0.25, 0.1))
    pixels = torch.tensor([51, 255, 0], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([0.2, 2.0, -2.0])
    assert torch.allclose(preprocessing.normalise(pixels).flatten(), expected)


SIZES = [(40, 40), (64, 41), (41, 64), (33, 90), (20, 57), (35, 36)]


@pytest.mark.parametrize("crop_fraction", [0.875, 0.9, 1.0])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_equals_timm(crop_fraction: float, interpolation: str) -> None:
    from seethrough.models import torchvision_compatibility  # noqa: F401

    # isort: split
    from timm.data import create_transform

    preprocessing = Preprocessing(size=32, crop_fraction=crop_fraction, interpolation=interpolation)
    reference: Any = create_transform(
        (3, 32, 32),
        crop_pct=crop_fraction,
        interpolation=interpolation,
        mean=preprocessing.mean,
        std=preprocessing.std,
    )
    for seed, (width, height) in enumerate(SIZES):
        image = noise(width, height, seed)
        ours = preprocessing.normalise(preprocessing.pixels(image)[None])[0]
        assert torch.equal(ours, reference(image)), (width, height)


@pytest.mark.parametrize("mode", ["L", "CMYK", "P", "RGBA"])
def test_other_colour_modes_become_red_green_and_blue(mode: str) -> None:
    image = noise(12, 9, mode=mode)
    pixels = Preprocessing(size=4, crop_fraction=1.0).pixels(image)
    assert torch.equal(
        pixels, Preprocessing(size=4, crop_fraction=1.0).pixels(image.convert("RGB"))
    )


def test_picture_of_the_very_size_stays_as_it_is() -> None:
    image = noise(16, 16)
    for crop_fraction in (1.0, None):
        pixels = Preprocessing(size=16, crop_fraction=crop_fraction).pixels(image)
        assert torch.equal(pixels, torch.from_numpy(np.array(image)).permute(2, 0, 1))


def test_picture_smaller_than_the_crop_is_refused() -> None:
    with pytest.raises(ValueError, match="picture of 20 x 9 pixels is smaller .* at least 10 x 10"):
        Preprocessing(size=10, crop_fraction=None).pixels(noise(20, 9))


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_interpolation_keeps_a_plain_colour(interpolation: str) -> None:
    image = Image.new("RGB", (30, 50), (10, 200, 90))
    pixels = Preprocessing(size=20, interpolation=interpolation).pixels(image)
    expected = torch.tensor([10, 200, 90], dtype=torch.uint8)[:, None, None].expand(3, 20, 20)
    assert torch.equal(pixels, expected)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"size": 0}, "size is 0, allowed is at least 1"),
        ({"crop_fraction": 0.0}, "crop_fraction is 0.0, allowed is None or above 0"),
        ({"crop_fraction": 1.1}, "crop_fraction is 1.1"),
        ({"interpolation": "cubic"}, "interpolation is 'cubic', allowed are nearest"),
        ({"std": (1.0, 0.0, 1.0)}, "std is .* allowed is above 0 in every channel"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Preprocessing(**wrong)
