"""The dSprites renderer, against its definition pixel by pixel and against published frames."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from seethrough.data import dsprites
from seethrough.data.dsprites_factors import FACTOR_NAMES, FACTOR_SIZES, FACTOR_VALUES

REAL_FRAMES = Path(__file__).resolve().parents[3] / "shared" / "data" / "dsprites_real_frames.npz"


def random_classes(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(0, size, (n,), generator=generator) for size in FACTOR_SIZES]
    return torch.stack(columns, dim=1)


def heart_outline(n_vertices: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 2 * np.pi, n_vertices, endpoint=False)
    u = 0.600 * 16 * np.sin(t) ** 3
    v = -0.662 * (13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)) - 1.44
    return u, v


def inside_polygon(u: np.ndarray, v: np.ndarray, corners_u: np.ndarray, corners_v: np.ndarray):
    """Even-odd rule: a ray from inside crosses the outline an odd number of times."""
    next_u, next_v = np.roll(corners_u, -1), np.roll(corners_v, -1)
    straddles = (corners_v > v[:, None]) != (next_v > v[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = corners_u + (v[:, None] - corners_v) / (next_v - corners_v) * (
            next_u - corners_u
        )
    return (straddles & (u[:, None] < crossing)).sum(axis=1) % 2 == 1


def render_slowly(classes: list[int]) -> np.ndarray:
    """Draw one image from the definition: all 4,096 pixels, the heart as a polygon."""
    shape = classes[0]
    _, scale, angle, pos_x, pos_y = (FACTOR_VALUES[f][c] for f, c in enumerate(classes))
    y, x = np.mgrid[0:64, 0:64].astype(float)
    dx, dy = x - (15.5 + 32 * pos_x), y - (15.5 + 32 * pos_y)
    u = (math.cos(angle) * dx - math.sin(angle) * dy) / scale
    v = (math.sin(angle) * dx + math.cos(angle) * dy) / scale
    if shape == 0:
        return (np.abs(u) <= 9.6) & (np.abs(v) <= 9.6)
    if shape == 1:
        return (u / 12.8) ** 2 + (v / 7.2) ** 2 <= 1
    return inside_polygon(u.ravel(), v.ravel(), *heart_outline(1500)).reshape(64, 64)


def test_square_by_hand():
    # Scale 0.5, no rotation: half side 4.8 around 15.5, so pixels 11 to 20 in both directions.
    image = dsprites.render(torch.tensor([[0, 0, 0, 0, 0]]))[0, 0]
    expected = torch.zeros(64, 64, dtype=torch.uint8)
    expected[11:21, 11:21] = 1
    assert torch.equal(image, expected)


def test_position_moves_right_and_down():
    images = dsprites.render(torch.tensor([[0, 0, 0, 31, 0], [0, 0, 0, 0, 31]]))[:, 0]
    # posX = 1 puts the centre at x = 47.5, so columns 43 to 52; posY likewise for rows.
    assert images[0].any(dim=0).nonzero().flatten().tolist() == list(range(43, 53))
    assert images[0].any(dim=1).nonzero().flatten().tolist() == list(range(11, 21))
    assert torch.equal(images[0].T, images[1])


def test_rotation_turns_the_long_axis_up_to_the_right():
    # In (u, v) the ellipse is long along u. At a positive angle below 90 degrees v = 0 means
    # dy = -tan(angle) dx: with y down, the long axis rises to the right.
    image = dsprites.render(torch.tensor([[1, 5, 5, 0, 0]]))[0, 0]
    y, x = image.nonzero(as_tuple=True)
    covariance = ((x - 15.5) * (y - 15.5)).mean()
    assert covariance < -10


@pytest.mark.parametrize("shape", [0, 1])
def test_equals_definition_for_square_and_ellipse(shape):
    classes = random_classes(60, seed=shape)
    classes[:, 0] = shape
    expected = np.stack([render_slowly(row) for row in classes.tolist()])
    assert np.array_equal(dsprites.render(classes)[:, 0].numpy(), expected)


def test_equals_definition_for_heart():
    # Corners of every factor's range, where a window could cut the sprite, and one in between.
    rows = [[2, 5, 20, 31, 31], [2, 5, 0, 0, 0], [2, 0, 13, 17, 4], [2, 3, 33, 0, 31]]
    expected = np.stack([render_slowly(row) for row in rows])
    assert np.array_equal(dsprites.render(torch.tensor(rows))[:, 0].numpy(), expected)


def test_heart_test_equals_polygon_between_pixels():
    generator = torch.Generator().manual_seed(0)
    points = 24 * torch.rand(2, 2000, generator=generator, dtype=torch.float64) - 12
    inside = dsprites.heart_contains(points[0], points[1])
    expected = inside_polygon(points[0].numpy(), points[1].numpy(), *heart_outline(3000))
    assert 0.2 < expected.mean() < 0.8
    assert np.array_equal(inside.numpy(), expected)


def test_no_sprite_reaches_beyond_its_window():
    u, v = heart_outline(1000)
    reaches = [math.hypot(9.6, 9.6), 12.8, float(np.hypot(u, v).max())]
    assert max(reaches) < dsprites.REACH
    # 28 pixels from the first one in reach are enough, and none is outside the image.
    assert 2 * dsprites.REACH < dsprites.WINDOW
    assert 15.5 - dsprites.REACH >= 0
    assert 47.5 - dsprites.REACH + dsprites.WINDOW <= 63


def test_orientation_ends_give_the_same_image():
    first, last = random_classes(200, seed=1), random_classes(200, seed=1)
    first[:, 2], last[:, 2] = 0, 39
    assert torch.equal(dsprites.render(first), dsprites.render(last))


def test_chunks_and_order_do_not_matter(monkeypatch):
    classes = random_classes(50, seed=2)
    whole = dsprites.render(classes)
    monkeypatch.setattr(dsprites, "CHUNK_CPU", 7)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(dsprites.render(classes[order]), whole[order])


def test_images_are_binary_and_never_empty():
    images = dsprites.render(random_classes(300, seed=3))
    assert images.dtype == torch.uint8
    assert images.unique().tolist() == [0, 1]
    assert bool(images.flatten(1).any(dim=1).all())


def test_nothing_to_render():
    assert dsprites.render(torch.empty(0, 5, dtype=torch.int64)).shape == (0, 1, 64, 64)


def test_classes_outside_are_refused_by_name():
    with pytest.raises(ValueError, match="orientation classes run from 0 to 39, got 40"):
        dsprites.render(torch.tensor([[0, 0, 40, 0, 0]]))


def test_the_dataset_follows_the_official_order():
    dataset = dsprites.RenderedDsprites()
    assert dataset.name == "dSprites (re-rendered)"
    assert len(dataset) == 737_280
    assert dataset.factor_names == FACTOR_NAMES
    assert [len(values) for values in dataset.factor_values] == list(FACTOR_SIZES)
    # One step of each factor, slowest first: the reversed cumulative product of the sizes.
    bases = torch.tensor([245_760, 40_960, 1_024, 32, 1])
    assert torch.equal(dataset.classes(bases), torch.eye(5, dtype=torch.int64))
    index = torch.tensor([737_279, 400_000])
    assert torch.equal(dataset.images(index), dsprites.render(dataset.classes(index)))


def test_factor_values_are_the_published_ones():
    shape, scale, orientation, pos_x, pos_y = FACTOR_VALUES
    assert shape == (1.0, 2.0, 3.0)
    assert np.allclose(scale, np.linspace(0.5, 1, 6), rtol=0, atol=1e-15)
    assert np.allclose(orientation, np.linspace(0, 2 * np.pi, 40), rtol=0, atol=1e-14)
    assert np.allclose(pos_x, np.linspace(0, 1, 32), rtol=0, atol=1e-15)
    assert pos_y == pos_x


def test_all_rendered_packed_on_a_smaller_lattice(monkeypatch, capsys):
    monkeypatch.setattr(dsprites.RenderedDsprites, "factor_sizes", (3, 2, 2, 3, 2))
    monkeypatch.setattr(dsprites, "PACKING_CHUNK", 10)
    dataset = dsprites.render_all_packed()
    index = torch.arange(len(dataset))
    assert len(dataset) == 72
    assert dataset.bits.shape == (72, 512)
    assert torch.equal(dataset.images(index), dsprites.RenderedDsprites().images(index))
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_all_rendered_packed():
    dataset = dsprites.render_all_packed()
    assert dataset.name == "dSprites (re-rendered)"
    assert dataset.bits.nbytes <= 400e6
    index = torch.randint(0, len(dataset), (500,), generator=torch.Generator().manual_seed(0))
    assert torch.equal(dataset.images(index), dsprites.RenderedDsprites().images(index))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_draws_what_the_cpu_draws():
    classes = random_classes(3000, seed=4)
    assert torch.equal(dsprites.render(classes.cuda()).cpu(), dsprites.render(classes))


@pytest.mark.skipif(not REAL_FRAMES.is_file(), reason="real frames of dSprites are not present")
def test_close_to_real_frames():
    with np.load(REAL_FRAMES, allow_pickle=False) as frames:
        real = torch.from_numpy(frames["images"])
        classes = torch.from_numpy(frames["factors"]).long()
    wrong = (dsprites.render(classes)[:, 0] != real).flatten(1).sum(dim=1)
    assert len(wrong) == 160
    assert wrong.double().mean() <= 0.5
    assert wrong.max() <= 8
