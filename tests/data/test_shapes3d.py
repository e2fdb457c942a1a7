"""The 3D Shapes renderer, against its definition ray by ray in plain Python."""

import colorsys
import math

import numpy as np
import pytest
import torch

from seethrough.data import shapes3d
from seethrough.data.shapes3d_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    SHAPE_NAMES,
)
from seethrough.data.shapes3d_scene import FLOOR, OBJECT, WALL, Scene, trace

SCENE = Scene()


def random_classes(n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    columns = [torch.randint(0, size, (n,), generator=generator) for size in FACTOR_SIZES]
    return torch.stack(columns, dim=1)


def solid_contains(shape: int, size: float, x: float, y: float, z: float) -> bool:
    """Say whether a point lies in the solid that stands over the middle of the floor."""
    z -= SCENE.gap
    if shape == 0:
        return abs(x) <= size and abs(y) <= size and 0 <= z <= 2 * size
    if shape == 1:
        return math.hypot(x, y) <= size and 0 <= z <= 2 * size
    top = size if shape == 2 else 3 * size  # of the segment of centres, which begins at size
    return math.hypot(x, y, z - min(max(z, size), top)) <= size


def march(contains, start: list[float], way: list[float], end: float) -> float:
    """Return the least t below `end` at which the ray is inside, or `end`."""
    step = 0.002
    t = 0.0
    while t < end:
        if contains(*(s + t * w for s, w in zip(start, way, strict=True))):
            low, high = t - step, t
            for _ in range(40):
                middle = (low + high) / 2
                point = (s + middle * w for s, w in zip(start, way, strict=True))
                low, high = (low, middle) if contains(*point) else (middle, high)
            return high
        t += step
    return end


def solid_normal(shape: int, size: float, x: float, y: float, z: float) -> list[float]:
    """Return the direction in which the solid's defining distance grows fastest."""
    z -= SCENE.gap

    def distance(p: list[float]) -> float:
        u, v, w = p
        if shape == 0:
            return max(abs(u), abs(v), abs(w - size))
        if shape == 1:
            return max(math.hypot(u, v), abs(w - size))
        top = size if shape == 2 else 3 * size
        return math.hypot(u, v, w - min(max(w, size), top))

    point, tiny = [x, y, z], 1e-7
    slopes = []
    for axis in range(3):
        ahead, back = list(point), list(point)
        ahead[axis] += tiny
        back[axis] -= tiny
        slopes.append((distance(ahead) - distance(back)) / (2 * tiny))
    length = math.hypot(*slopes)
    return [slope / length for slope in slopes]


def cast(classes: list[int], column: float, row: float) -> list[float]:
    """Return the colour, 0 to 1, that the ray through a point of the image meets."""
    hues, shape = classes[:3], classes[4]
    radii = (SCENE.cube_radius, SCENE.cylinder_radius, SCENE.sphere_radius, SCENE.capsule_radius)
    size = radii[shape] * FACTOR_VALUES[3][classes[3]]
    angle = math.radians(FACTOR_VALUES[5][classes[5]])
    eye = [
        math.sin(angle) * SCENE.orbit_radius,
        -math.cos(angle) * SCENE.orbit_radius,
        SCENE.camera_height,
    ]
    view = np.array([0, 0, SCENE.target_height]) - eye
    view /= np.linalg.norm(view)
    right = np.cross(view, [0, 0, 1])
    right /= np.linalg.norm(right)
    across, down = (column - 32) / SCENE.focal_length, (row - 32) / SCENE.focal_length
    way = (view + across * right - down * np.cross(right, view)).tolist()

    def in_solid(x: float, y: float, z: float) -> bool:
        return solid_contains(shape, size, x, y, z)

    exits = [((1 if way[0] > 0 else -1) - eye[0]) / way[0], (SCENE.back_wall - eye[1]) / way[1]]
    exits.append(-eye[2] / way[2] if way[2] < 0 else math.inf)
    room = min(exits)
    t = march(in_solid, eye, way, room)
    point = [e + t * w for e, w in zip(eye, way, strict=True)]
    if t < room:
        normal, hue, albedo = solid_normal(shape, size, *point), hues[2], 1.0
    elif exits[2] == room:
        normal, hue, albedo = [0.0, 0.0, 1.0], hues[0], SCENE.floor_albedo
    elif point[2] > SCENE.wall_height:
        return [153 / 255, 226 / 255, 249 / 255]
    else:
        normal = [-math.copysign(1, way[0]), 0.0, 0.0] if exits[0] == room else [0.0, -1.0, 0.0]
        hue, albedo = hues[1], SCENE.wall_albedo
    lamp = [SCENE.lamp_x, SCENE.lamp_y, SCENE.lamp_z]
    to_lamp = [a - b for a, b in zip(lamp, point, strict=True)]
    far = math.hypot(*to_lamp)
    to_lamp = [a / far for a in to_lamp]
    axis = [SCENE.spot_x, SCENE.spot_y, -1.0]
    off_axis = -sum(a * b for a, b in zip(axis, to_lamp, strict=True)) / math.hypot(*axis)
    spot = max(0.0, off_axis) ** SCENE.spot_exponent
    if t == room and march(in_solid, point, to_lamp, 0.8) < 0.8:
        spot = 0.0
    facing = sum(a * b for a, b in zip(normal, to_lamp, strict=True))
    head = max(0.0, -sum(a * b for a, b in zip(normal, view.tolist(), strict=True)))
    light = SCENE.ambient + SCENE.headlight * head + SCENE.lamp * spot * max(0.0, facing)
    gloss = 0.0
    if t < room:
        rise = (facing - SCENE.gloss_start) / SCENE.gloss_ramp
        gloss = SCENE.gloss * spot * min(max(rise, 0.0), 1.0)
    colour = colorsys.hsv_to_rgb(hue / 10, 1, 1)
    return [min(1.0, albedo * light * channel + gloss) for channel in colour]


def pixel_slowly(classes: list[int], row: int, column: int) -> list[float]:
    """Return one pixel's grey levels: the Lanczos-weighted mean of 9 rays per pixel around it."""

    def kernel(x: float) -> float:
        if x == 0:
            return 1.0
        return 3 * math.sin(math.pi * x) * math.sin(math.pi * x / 3) / (math.pi * x) ** 2

    offsets = [k / 3 for k in range(-8, 9)]
    weights = [kernel(offset) for offset in offsets]
    total = np.zeros(3)
    for dy, weight_y in zip(offsets, weights, strict=True):
        for dx, weight_x in zip(offsets, weights, strict=True):
            colour = cast(classes, column + 0.5 + dx, row + 0.5 + dy)
            total += weight_y * weight_x * np.array(colour)
    return np.clip(255 * total / sum(weights) ** 2, 0, 255).tolist()


@pytest.mark.parametrize(
    ("classes", "row", "column"),
    [
        ([0, 1, 5, 2, 0, 0], 45, 23),  # a vertical edge of the cube, two of its faces
        ([2, 7, 4, 6, 1, 3], 53, 40),  # the cylinder's foot, lit floor and shadow
        ([9, 3, 8, 0, 2, 14], 36, 31),  # where gloss begins on the sphere
        ([4, 6, 3, 7, 3, 8], 8, 34),  # the capsule's top against wall and sky
        ([8, 2, 0, 4, 2, 1], 19, 47),  # the room's corner, two walls and sky
    ],
)
def test_pixels_equal_the_definition(classes, row, column):
    drawn = shapes3d.render(torch.tensor([classes]))[0, :, row, column].tolist()
    assert drawn == pytest.approx(pixel_slowly(classes, row, column), abs=1.0)


def test_sky_has_its_colour_exactly():
    images = shapes3d.render(random_classes(30, seed=0))
    sky = torch.tensor([153, 226, 249], dtype=torch.uint8)[:, None, None]
    assert torch.equal(images[:, :, :3], sky.expand(30, 3, 3, 64))


@pytest.mark.parametrize(("factor", "surface"), [(0, FLOOR), (1, WALL), (2, OBJECT)])
def test_a_hue_changes_only_the_pixels_of_its_surface(factor, surface):
    first = random_classes(6, seed=1)
    second = first.clone()
    second[:, factor] = (first[:, factor] + 5) % 10
    changed = (shapes3d.render(first) != shapes3d.render(second)).any(dim=1)
    for row, pixels in zip(first.tolist(), changed, strict=True):
        scale, degrees = (torch.tensor([FACTOR_VALUES[f][row[f]]]).double() for f in (3, 5))
        on = (trace(SCENE, row[4], scale, degrees, 192).surface == surface).float()
        on = on.view(1, 1, 192, 192)
        # A pixel is an average over three pixels on each side of its centre.
        near = torch.nn.functional.max_pool2d(on, 21, stride=3, padding=9)[0, 0] > 0
        full = torch.nn.functional.avg_pool2d(on, 3)[0, 0] == 1
        assert not bool((pixels & ~near).any())
        assert bool(pixels[full].all())


def test_an_image_depends_on_every_factor():
    classes = torch.tensor([[0, 2, 5, 3, 1, 4]])
    for factor in range(6):
        other = classes.clone()
        other[0, factor] += 1
        assert not torch.equal(shapes3d.render(classes), shapes3d.render(other))


def test_turning_moves_the_corner_from_right_to_left():
    # A side wall is darker than the back wall, and lies beyond the corner.
    images = shapes3d.render(torch.tensor([[0, 4, 0, 0, 2, 0], [0, 4, 0, 0, 2, 14]]))
    row = images[:, 1, 25].double()  # green, along a row of the walls above the small sphere
    assert row[0, :40].min() > row[0, 48:].max()
    assert row[1, 24:].min() > row[1, :16].max()


def test_images_do_not_depend_on_batch_or_order(monkeypatch):
    classes = random_classes(20, seed=2)
    whole = shapes3d.render(classes)
    monkeypatch.setattr(shapes3d, "BLOCK_CPU", (7, 3))
    shapes3d._stored_maps.cache_clear()  # maps are then made anew, in another order
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(shapes3d.render(classes[order]), whole[order])


def test_maps_sum_to_a_white_picture_where_everything_is_white():
    # All surfaces at level 1 and light above 1: floor, wall, object and sky share out each pixel.
    bright = Scene(ambient=5.0)
    one = torch.ones(1, dtype=torch.float64)
    maps = shapes3d.geometry_maps(bright, 0, one, 10 * one)[0]
    sky = maps[18:] / torch.tensor(shapes3d.SKY_COLOUR)[:, None, None]
    shares = maps[[5, 11, 17]].sum(dim=0) / 255 + sky
    assert torch.allclose(shares, torch.ones(3, 64, 64), atol=1e-5)


def test_hue_levels_are_tenths_of_the_colour_circle():
    # Red, orange, ..., pink: three of the ten by hand, in fifths.
    assert shapes3d.HUE_LEVELS[0] == (5, 0, 0)
    assert shapes3d.HUE_LEVELS[1] == (5, 3, 0)
    assert shapes3d.HUE_LEVELS[8] == (4, 0, 5)


def test_nothing_to_render():
    assert shapes3d.render(torch.empty(0, 6, dtype=torch.int64)).shape == (0, 3, 64, 64)


@pytest.mark.parametrize("factor", range(6))
def test_classes_outside_are_refused_by_name(factor):
    classes = torch.zeros(1, 6, dtype=torch.int64)
    classes[0, factor] = FACTOR_SIZES[factor]
    name, last = FACTOR_NAMES[factor], FACTOR_SIZES[factor] - 1
    with pytest.raises(ValueError, match=f"{name} classes run from 0 to {last}, got {last + 1}"):
        shapes3d.render(classes)
    classes[0, factor] = -1
    with pytest.raises(ValueError, match=f"{name} classes run from 0 to {last}, got -1"):
        shapes3d.render(classes)


def test_the_dataset_follows_the_official_order():
    dataset = shapes3d.RenderedShapes3D()
    assert dataset.name == "Shapes3D (re-rendered)"
    assert len(dataset) == 480_000
    assert dataset.factor_names == FACTOR_NAMES
    assert dataset.max_value == 255
    # One step of each factor, slowest first: the reversed cumulative product of the sizes.
    bases = torch.tensor([48_000, 4_800, 480, 60, 15, 1])
    assert torch.equal(dataset.classes(bases), torch.eye(6, dtype=torch.int64))
    index = torch.tensor([479_999, 123_456])
    assert torch.equal(dataset.images(index), shapes3d.render(dataset.classes(index)))
    with pytest.raises(IndexError, match="0 to 479999, got 480000"):
        dataset.images(torch.tensor([480_000]))


def test_factor_values_are_the_published_ones():
    assert [len(values) for values in FACTOR_VALUES] == list(FACTOR_SIZES)
    for hues in FACTOR_VALUES[:3]:
        assert np.allclose(hues, np.linspace(0, 0.9, 10), rtol=0, atol=1e-15)
    assert np.allclose(FACTOR_VALUES[3], np.linspace(0.75, 1.25, 8), rtol=0, atol=1e-15)
    assert FACTOR_VALUES[4] == (0, 1, 2, 3)
    assert SHAPE_NAMES == ("cube", "cylinder", "sphere", "capsule")
    assert np.allclose(FACTOR_VALUES[5], np.linspace(-30, 30, 15), rtol=0, atol=1e-13)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_draws_what_the_cpu_draws():
    classes = random_classes(1000, seed=4)
    assert torch.equal(shapes3d.render(classes.cuda()).cpu(), shapes3d.render(classes))
