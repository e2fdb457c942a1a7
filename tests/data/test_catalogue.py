"""Data sets by name."""

import pytest
import torch

from seethrough.data import OfficialFileError, catalogue, shapes3d
from seethrough.data.shapes3d_factors import FACTOR_SIZES

DSPRITES_NAMES = [name for name in catalogue.NAMES if name.startswith("dsprites")]
SHAPES3D_NAMES = [name for name in catalogue.NAMES if name.startswith("shapes3d")]


def test_every_name_belongs_to_one_family():
    assert catalogue.NAMES == (
        "dsprites",
        "dsprites_rgb",
        "dsprites_hued",
        "shapes3d",
        "shapes3d_grey",
        "shapes3d_fixed_floor",
    )
    assert sorted(DSPRITES_NAMES + SHAPES3D_NAMES) == sorted(catalogue.NAMES)


@pytest.mark.parametrize(
    ("name", "printed", "n_images", "image_shape", "max_value"),
    [
        ("dsprites", "dSprites (re-rendered)", 737_280, (1, 64, 64), 1),
        ("dsprites_rgb", "dSprites (re-rendered), one colour", 737_280, (3, 64, 64), 255),
        ("dsprites_hued", "dSprites (re-rendered), ten hues", 7_372_800, (3, 64, 64), 255),
    ],
)
def test_rendered_sprites(name, printed, n_images, image_shape, max_value):
    dataset = catalogue.load(name)
    ends = dataset.images(torch.tensor([0, n_images - 1]))
    assert (dataset.name, len(dataset), dataset.max_value) == (printed, n_images, max_value)
    assert dataset.image_shape == image_shape
    assert ends.shape == (2, *image_shape)
    assert int(ends.max()) == max_value
    with pytest.raises(IndexError, match=f"got {n_images}"):
        dataset.images(torch.tensor([n_images]))


@pytest.fixture
def _flat_rooms(monkeypatch):
    """Rooms without rays, whose casting takes seconds: red is floor_hue, green orientation."""

    def render(classes):
        pixel = torch.stack([classes[:, 0], classes[:, 5], torch.zeros_like(classes[:, 0])], dim=1)
        return (10 * pixel).to(torch.uint8)[:, :, None, None].expand(-1, 3, 64, 64)

    monkeypatch.setattr(shapes3d, "render", render)


@pytest.mark.usefixtures("_flat_rooms")
@pytest.mark.parametrize(
    ("name", "printed", "sizes", "last"),
    [
        ("shapes3d", "Shapes3D (re-rendered)", FACTOR_SIZES, [90, 140, 0]),
        # 0.299 * 90 + 0.587 * 140 = 109.09.
        ("shapes3d_grey", "Shapes3D (re-rendered), grey", FACTOR_SIZES, [109]),
        (
            "shapes3d_fixed_floor",
            "Shapes3D (re-rendered), one floor",
            FACTOR_SIZES[1:],
            [0, 140, 0],
        ),
    ],
)
def test_rendered_shapes(name, printed, sizes, last):
    dataset = catalogue.load(name)
    assert (dataset.name, dataset.factor_sizes, dataset.max_value) == (printed, sizes, 255)
    assert dataset.image_shape == (len(last), 64, 64)
    n_images = {6: 480_000, 5: 48_000}[len(sizes)]
    assert dataset.images(torch.tensor([n_images - 1]))[0, :, 7, 5].tolist() == last
    with pytest.raises(IndexError, match=f"got {n_images}"):
        dataset.images(torch.tensor([n_images]))


def test_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"'dsprite' is unknown \(did you mean dsprites\?\)"):
        catalogue.load("dsprite")
    with pytest.raises(ValueError, match="allowed are dsprites, dsprites_hued, dsprites_rgb, sha"):
        catalogue.load("cifar10")


@pytest.mark.parametrize("name", catalogue.NAMES)
def test_missing_published_file_is_refused(name):
    with pytest.raises(OfficialFileError, match=r"^nothing\.file does not exist"):
        catalogue.load(name, "nothing.file")
