"""The ladder between dSprites and 3D Shapes, on data sets small enough to write out."""

import colorsys
from itertools import pairwise

import pytest
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from seethrough.data import FactorDataset, catalogue, shapes3d
from seethrough.data.shapes3d_factors import HUES
from seethrough.data.variants import (
    BACKGROUND_COLOUR,
    HUE_COLOURS,
    GreyImages,
    HuedSprites,
    OneColourSprites,
    OneFloorImages,
    luma,
)


class Bits(FactorDataset):
    """Image i shows the number i as bits, highest first."""

    name = "bits"
    factor_names = ("half", "rest")
    factor_sizes = (2, 3)
    factor_values = ((0.0, 1.0), (0.0, 0.5, 1.0))
    image_shape = (1, 1, 3)
    max_value = 1

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        self.require_indices(index)
        bits = index[:, None] >> torch.tensor([2, 1, 0]) & 1
        return bits.to(torch.uint8)[:, None, None, :]


class Rooms(FactorDataset):
    """Image i has one pixel whose red is floor_hue, green wall_hue, blue i."""

    name = "rooms"
    factor_names = ("floor_hue", "wall_hue", "shape")
    factor_sizes = (3, 2, 4)
    factor_values = ((0.0, 0.1, 0.2), (0.0, 0.1), (0.0, 1.0, 2.0, 3.0))
    image_shape = (3, 1, 1)
    max_value = 255

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        classes = self.classes(index)
        pixel = torch.stack([100 * classes[:, 0], 100 * classes[:, 1], index], dim=1)
        return pixel.to(torch.uint8)[:, :, None, None]


ALL_VARIANTS = (
    OneColourSprites(Bits()),
    HuedSprites(Bits()),
    GreyImages(Rooms()),
    OneFloorImages(Rooms()),
)


def pixel(*rgb: int) -> torch.Tensor:
    return torch.tensor(rgb, dtype=torch.uint8).view(1, 3, 1, 1)


@pytest.mark.parametrize("variant", ALL_VARIANTS, ids=lambda variant: variant.name)
def test_every_variant_keeps_the_contract_of_a_factor_dataset(variant):
    index = torch.arange(len(variant)).flip(0)
    images = variant.images(index)
    assert images.shape == (len(variant), *variant.image_shape)
    assert images.dtype == torch.uint8
    assert variant.max_value == 255
    assert torch.equal(variant.index(variant.classes(index)), index)
    assert [len(values) for values in variant.factor_values] == list(variant.factor_sizes)
    assert len(variant.factor_names) == len(variant.factor_sizes)
    assert torch.equal(variant.images(index[3:4])[0], images[3])
    assert variant.images(index[:0]).shape == (0, *variant.image_shape)


@pytest.mark.parametrize("variant", ALL_VARIANTS, ids=lambda variant: variant.name)
@pytest.mark.parametrize("beyond", [-1, 0])
def test_index_outside_is_refused(variant, beyond):
    wrong = beyond if beyond < 0 else len(variant)
    with pytest.raises(IndexError, match=f"from 0 to {len(variant) - 1}, got {wrong}"):
        variant.images(torch.tensor([0, wrong]))


def test_one_colour_paints_sprite_and_background():
    dataset = OneColourSprites(Bits())
    assert dataset.name == "bits, one colour"
    assert dataset.factor_names == ("half", "rest")
    # Image 5 is 1 0 1: red, sky, red.
    image = dataset.images(torch.tensor([5]))[0, :, 0].T.tolist()
    assert image == [[255, 0, 0], [153, 226, 249], [255, 0, 0]]


def test_hue_is_the_slowest_factor():
    dataset = HuedSprites(Bits())
    assert dataset.name == "bits, ten hues"
    assert len(dataset) == 60
    assert dataset.factor_names == ("hue", "half", "rest")
    # 10 = 1 * 6 + 4: image 4, which is 1 0 0, in hue 0.1, which is orange; half 1, rest 1.
    index = torch.tensor([10])
    assert dataset.classes(index).tolist() == [[1, 1, 1]]
    assert dataset.images(index)[0, :, 0].T.tolist() == [[255, 153, 0], [0, 0, 0], [0, 0, 0]]


def test_each_hue_class_paints_its_own_colour():
    dataset = HuedSprites(Bits())
    index = dataset.index(torch.tensor([[hue, 0, 1] for hue in range(10)]))
    images = dataset.images(index)  # image 1 is 0 0 1
    assert images[:, :, 0, 2].tolist() == [list(colour) for colour in HUE_COLOURS]
    assert int(images[:, :, :, :2].max()) == 0


def test_hue_colours_are_saturated_hsv():
    for hue, colour in zip(HUES, HUE_COLOURS, strict=True):
        exact = [255 * channel for channel in colorsys.hsv_to_rgb(hue, 1, 1)]
        assert exact == pytest.approx(colour, rel=0, abs=1e-9)
    assert pytest.approx([k / 10 for k in range(10)]) == HUES


def test_background_is_the_sky_of_3d_shapes():
    assert BACKGROUND_COLOUR == shapes3d.SKY_COLOUR


def test_luma_by_hand():
    assert luma(pixel(0, 0, 0)).item() == 0
    assert luma(pixel(255, 255, 255)).item() == 255
    # 0.299 * 255 = 76.245; 0.587 * 255 = 149.685; 0.114 * 255 = 29.07.
    assert [luma(pixel(*one)).item() for one in ((255, 0, 0), (0, 255, 0), (0, 0, 255))] == [
        76,
        150,
        29,
    ]
    # 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 2.99 + 11.74 + 3.42 = 18.15.
    assert luma(pixel(10, 20, 30)).item() == 18
    # 0.299 * 0 + 0.587 * 0 + 0.114 * 250 = 28.5, a half: up.
    assert luma(pixel(0, 0, 250)).item() == 29


def test_luma_equals_the_rounded_weighted_sum():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (20, 3, 8, 8), generator=generator, dtype=torch.uint8)
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64).view(1, 3, 1, 1)
    exact = (images * weights).sum(dim=1, keepdim=True)
    assert luma(images).shape == (20, 1, 8, 8)
    assert float((luma(images) - exact).abs().max()) <= 0.5 + 1e-9


def test_ten_hues_are_six_greys_five_levels_apart():
    greys = sorted(luma(pixel(*colour)).item() for colour in HUE_COLOURS)
    assert greys == [44, 76, 89, 90, 94, 161, 165, 166, 179, 211]
    # A new grey starts where the gap to the one before is five levels or more.
    assert 1 + sum(b - a >= 5 for a, b in pairwise(greys)) == 6


def test_grey_keeps_factors_and_index():
    dataset = GreyImages(Rooms())
    assert dataset.name == "rooms, grey"
    assert dataset.image_shape == (1, 1, 1)
    assert dataset.factor_names == Rooms.factor_names
    # 13 = 1 * 8 + 1 * 4 + 1: 0.299 * 100 + 0.587 * 100 + 0.114 * 13 = 90.08.
    assert dataset.images(torch.tensor([13])).item() == 90


def test_one_floor_keeps_the_first_images():
    dataset = OneFloorImages(Rooms())
    assert dataset.name == "rooms, one floor"
    assert len(dataset) == 8
    assert dataset.factor_names == ("wall_hue", "shape")
    assert dataset.classes(torch.tensor([7])).tolist() == [[1, 3]]
    assert dataset.images(torch.tensor([7])).flatten().tolist() == [0, 100, 7]


def test_variants_of_the_wrong_data_set_are_refused():
    with pytest.raises(ValueError, match="rooms has 3 channels with values up to 255"):
        OneColourSprites(Rooms())
    with pytest.raises(ValueError, match="rooms has 3 channels with values up to 255"):
        HuedSprites(Rooms())
    with pytest.raises(ValueError, match="luma needs 3 channels, bits has 1"):
        GreyImages(Bits())
    with pytest.raises(ValueError, match="slowest factor must be floor_hue, bits has half"):
        OneFloorImages(Bits())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", catalogue.NAMES)
def test_gpu_makes_what_the_cpu_makes(name):
    dataset = catalogue.load(name)
    index = torch.randint(0, len(dataset), (200,), generator=torch.Generator().manual_seed(0))
    images = dataset.images(index.cuda())
    assert images.is_cuda
    assert torch.equal(images.cpu(), dataset.images(index))
