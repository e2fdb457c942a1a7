"""The room of 3D Shapes: hand-worked light, symmetries, and refused constants."""

import dataclasses
import math

import pytest
import torch

from seethrough.data.shapes3d_factors import FACTOR_VALUES
from seethrough.data.shapes3d_scene import FLOOR, OBJECT, SKY, WALL, Scene, place_camera, trace

N_SIDE = 48
LOW_ROW = 33  # below the camera's height, which is above the cube
DEGREES = torch.tensor(FACTOR_VALUES[5], dtype=torch.float64)
ONES = torch.ones(15, dtype=torch.float64)


def square(samples: torch.Tensor) -> torch.Tensor:
    return samples.unflatten(-1, (N_SIDE, N_SIDE))


def test_rays_by_hand():
    # At 0 degrees the camera stands at (0, -r, h) and looks along y, level when the target is as
    # high as the camera. The middle of the left upper of 2 x 2 cells is 16 pixels left and up.
    scene = dataclasses.replace(Scene(), target_height=Scene().camera_height)
    camera = place_camera(scene, torch.tensor([0.0, 30.0]).double(), 2)
    slope = 16 / scene.focal_length
    assert camera.eye[0, :, 0].tolist() == pytest.approx(
        [0, -scene.orbit_radius, scene.camera_height]
    )
    assert camera.rays[0, :, 0].tolist() == pytest.approx([-slope, 1, slope])
    assert camera.rays[0, :, 3].tolist() == pytest.approx([slope, 1, -slope])
    # At 30 degrees it stands to the right and looks to the left.
    assert camera.view[1, :, 0].tolist() == pytest.approx([-0.5, math.sqrt(0.75), 0])


def test_light_by_hand():
    scene = Scene()
    samples = trace(scene, 0, ONES[:1], DEGREES[7:8], N_SIDE)
    # The cube's front faces the camera, tilted by its small pitch, and is turned from the lamp.
    rise = scene.target_height - scene.camera_height
    facing = scene.orbit_radius / math.hypot(scene.orbit_radius, rise)
    middle = LOW_ROW * N_SIDE + N_SIDE // 2
    assert samples.surface[0, middle] == OBJECT
    assert samples.light[0, middle].item() == pytest.approx(
        scene.ambient + scene.headlight * facing
    )
    assert samples.gloss[0, middle] == 0
    # In the shadow the floor, level as the view is nearly, has the ambient light alone.
    floor = samples.light[0][samples.surface[0] == FLOOR]
    head = scene.headlight * max(0.0, -rise) / math.hypot(scene.orbit_radius, rise)
    shadow = scene.floor_albedo * (scene.ambient + head)
    assert floor.min().item() == pytest.approx(shadow)
    dark = ((floor - shadow).abs() < 1e-9).double().mean()
    assert 0.01 < dark < 0.2


def test_the_picture_is_sky_over_wall_over_floor_with_the_solid_in_the_middle():
    for shape in range(4):
        surface = square(trace(Scene(), shape, ONES, DEGREES, N_SIDE).surface)
        assert bool((surface[:, 0] == SKY).all())
        assert bool((surface[:, N_SIDE // 2, 0] == WALL).all())
        assert bool((surface[:, -1] == FLOOR).all())
        assert bool((surface[:, LOW_ROW, N_SIDE // 2] == OBJECT).all())


@pytest.mark.parametrize("shape", range(4))
def test_opposite_orientations_mirror_the_geometry(shape):
    surface = square(trace(Scene(), shape, ONES, DEGREES, N_SIDE).surface)
    assert torch.equal(surface.flip(0), surface.flip(-1))


@pytest.mark.parametrize("shape", range(4))
def test_a_lamp_in_the_plane_of_symmetry_mirrors_the_light_too(shape):
    scene = dataclasses.replace(Scene(), lamp_x=0.0, spot_x=0.0)
    samples = trace(scene, shape, ONES, DEGREES, N_SIDE)
    light, gloss = square(samples.light), square(samples.gloss)
    assert torch.allclose(light.flip(0), light.flip(-1))
    assert torch.allclose(gloss.flip(0), gloss.flip(-1))


@pytest.mark.parametrize("shape", [1, 2, 3])
def test_round_solids_have_one_outline_from_all_sides(shape):
    on_object = trace(Scene(), shape, ONES, DEGREES, N_SIDE).surface == OBJECT
    assert torch.equal(on_object, on_object[:1].expand_as(on_object))


@pytest.mark.parametrize("shape", range(4))
def test_scale_grows_the_solid_and_its_shadow(shape):
    scales = torch.tensor(FACTOR_VALUES[3], dtype=torch.float64)
    samples = trace(Scene(), shape, scales, DEGREES[:8], N_SIDE)
    fixed = trace(Scene(), shape, scales, DEGREES[7].expand(8), N_SIDE)
    assert bool((fixed.surface == OBJECT).sum(dim=1).diff().gt(0).all())
    dark = (fixed.surface == FLOOR) & (fixed.light < 0.4)
    assert dark[7].sum() > dark[0].sum()
    # Outside the solid and its shadow nothing depends on scale.
    same = trace(Scene(), shape, ONES[:8], DEGREES[:8], N_SIDE)
    walls = (same.surface == WALL) & (samples.surface == WALL)
    assert torch.equal(samples.light[walls], same.light[walls])


def test_only_the_solid_is_glossy_and_only_towards_the_lamp():
    for shape in range(4):
        samples = trace(Scene(), shape, ONES, DEGREES, N_SIDE)
        glossy = samples.gloss > 0
        assert bool(glossy.any())
        assert bool((samples.surface[glossy] == OBJECT).all())
        assert bool((samples.gloss <= Scene().gloss).all())
    no_lamp = trace(dataclasses.replace(Scene(), gloss_start=2.0), 2, ONES, DEGREES, N_SIDE)
    assert bool((no_lamp.gloss == 0).all())


def test_without_a_lamp_the_floor_is_even():
    samples = trace(dataclasses.replace(Scene(), lamp=0.0), 1, ONES, DEGREES, N_SIDE)
    floor = samples.light[samples.surface == FLOOR]
    assert floor.max() - floor.min() < 1e-12


def test_no_geometries():
    none = torch.empty(0, dtype=torch.float64)
    assert trace(Scene(), 3, none, none, N_SIDE).surface.shape == (0, N_SIDE * N_SIDE)


def test_impossible_constants_are_refused():
    with pytest.raises(ValueError, match=r"focal_length is 0\.0, allowed is more than 0"):
        Scene(focal_length=0.0)
    with pytest.raises(ValueError, match="lamp_x is nan, allowed is a finite number"):
        Scene(lamp_x=math.nan)
    with pytest.raises(ValueError, match=r"orbit_radius is 0\.9, allowed is less than 0\.8"):
        Scene(orbit_radius=0.9, back_wall=0.8)
