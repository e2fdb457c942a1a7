"""The room of 3D Shapes: what each ray of its camera meets, and how that is lit.

The room is a box with the floor at z = 0 and walls at x = -1, x = 1, y = -back_wall and
y = back_wall; above the walls is sky. One solid stands over the middle of the floor. The camera
moves on a circle around the vertical through the middle: at orientation 0 degrees it stands on the
negative y axis and looks along y; positive angles move it towards positive x.

Light at a surface is ambient + headlight max(0, n . c) + lamp s(p) max(0, n . l), with n the
normal, c the direction opposite to the camera's view, l the direction to the lamp, and s(p) the
lamp's spot: the cosine of the angle off its axis to a power, 0 in the solid's shadow. The solid
also reflects gloss, white, at full strength s(p) soon after n . l passes 0.

Symbols: G geometries (scale and orientation of one solid), P rays, row by row; the axis of 3 is
(x, y, z). Lengths are in half widths of the room.
"""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float64, UInt8
from torch import Tensor

from seethrough.data.shapes3d_factors import IMAGE_SHAPE
from seethrough.data.shapes3d_solids import HALF_HEIGHTS, crossing, normals

SKY, FLOOR, WALL, OBJECT = range(4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Camera, room, solids and light, fitted to published images (see `shapes3d_calibration`)."""

    orbit_radius: float = 0.71602
    """Distance of the camera from the vertical through the middle, above 0 and below 1."""
    camera_height: float = 0.22186
    """Height of the camera."""
    target_height: float = 0.21937
    """Height, above the middle of the floor, of the point that the camera looks at."""
    focal_length: float = 68.071
    """In pixels of the 64 x 64 image."""
    wall_height: float = 0.57469
    """Height of the upper edge of the walls."""
    back_wall: float = 0.9957
    """Distance of the walls in front of and behind the camera."""
    cube_radius: float = 0.10094
    """Half side of the cube at scale 1."""
    cylinder_radius: float = 0.10814
    """Radius and half height of the cylinder at scale 1."""
    sphere_radius: float = 0.12224
    """Radius of the sphere at scale 1."""
    capsule_radius: float = 0.093637
    """Radius of the capsule at scale 1; its half height is twice that."""
    gap: float = 0.0030704
    """Height of the solid's lowest point over the floor, whatever its scale."""
    ambient: float = 0.35507
    """Light on every surface, 1 for full colour."""
    headlight: float = 0.59201
    """Light from the camera, along its view, on a surface that faces it."""
    lamp: float = 1.0066
    """Light from the lamp, on its axis, on a surface that faces it."""
    gloss: float = 0.14072
    """White light of the lamp reflected by the solid."""
    lamp_x: float = -0.55742
    """Position of the lamp."""
    lamp_y: float = 0.11606
    """Position of the lamp."""
    lamp_z: float = 2.6379
    """Height of the lamp."""
    spot_x: float = 0.042057
    """How far the lamp's axis moves along x on its way down by 1."""
    spot_y: float = 0.0061676
    """How far the lamp's axis moves along y on its way down by 1."""
    spot_exponent: float = 14.697
    """Power of the cosine of the angle off the lamp's axis."""
    gloss_start: float = 0.010446
    """n . l at which gloss begins."""
    gloss_ramp: float = 0.047433
    """Growth of n . l over which gloss rises to its full strength, above 0."""
    floor_albedo: float = 0.959
    """Share of light that the floor reflects, against the solid's 1."""
    wall_albedo: float = 0.99055
    """Share of light that the walls reflect, against the solid's 1."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value):
                raise ValueError(f"{field.name} is {value}, allowed is a finite number")
            if field.name in POSITIVE and value <= 0:
                raise ValueError(f"{field.name} is {value}, allowed is more than 0")
        nearest_wall = min(1.0, self.back_wall)
        if self.orbit_radius >= nearest_wall:
            raise ValueError(
                f"orbit_radius is {self.orbit_radius}, allowed is less than {nearest_wall}"
            )


POSITIVE = (
    "orbit_radius",
    "camera_height",
    "focal_length",
    "wall_height",
    "back_wall",
    "cube_radius",
    "cylinder_radius",
    "sphere_radius",
    "capsule_radius",
    "gloss_ramp",
)


class Samples(NamedTuple):
    """What each ray meets."""

    surface: UInt8[Tensor, "G P"]
    """SKY, FLOOR, WALL or OBJECT."""
    light: Float64[Tensor, "G P"]
    """Factor on the surface's colour, 0 or more; without meaning for the sky."""
    gloss: Float64[Tensor, "G P"]
    """White added to the surface's colour, 0 or more; 0 except on the object."""


class Camera(NamedTuple):
    """Rays through the image, on a square grid, row by row."""

    eye: Float64[Tensor, "G 3 1"]
    """Where the rays begin."""
    rays: Float64[Tensor, "G 3 P"]
    """Their directions, 1 long along the view."""
    view: Float64[Tensor, "G 3 1"]
    """Direction to the middle of the image, of length 1."""


def trace(
    scene: Scene,
    shape: int,
    scales: Float64[Tensor, " G"],
    degrees: Float64[Tensor, " G"],
    n_side: int,
) -> Samples:
    """Return what n_side x n_side rays meet, for one shape at these scales and orientations.

    The rays pass through the centres of a grid of n_side x n_side equal cells over the image.
    """
    camera = place_camera(scene, degrees, n_side)
    radius = scales[:, None] * _radius(scene, shape)  # (G, 1)
    centre = torch.zeros(len(scales), 3, 1, dtype=radius.dtype, device=radius.device)
    centre[:, 2] = scene.gap + HALF_HEIGHTS[shape] * radius
    size = radius[:, None]  # (G, 1, 1)
    eye = ((camera.eye - centre) / size).expand_as(camera.rays)
    enter, leave = crossing(shape, eye, camera.rays / size)
    met = enter < leave
    t, room_normal = _meet_room(scene, camera)
    points = camera.eye + torch.where(met, enter, t)[:, None] * camera.rays
    surface = _surface(scene, met, room_normal, points)
    inside = (points - centre) / size  # in the frame of the unit solid
    normal = torch.where(met[:, None], normals(shape, inside), room_normal)
    to_lamp = _lamp(scene, points) - points
    enter, leave = crossing(shape, inside, to_lamp / size)
    shadow = ~met & (enter < leave) & (leave > 0) & (enter < 1)
    spot = _spot(scene, to_lamp).masked_fill(shadow, 0.0)
    facing = _dot(normal, to_lamp) / to_lamp.square().sum(dim=1).sqrt()
    head = -_dot(normal, camera.view).clamp(max=0)
    light = scene.ambient + scene.headlight * head + scene.lamp * spot * facing.clamp(min=0)
    albedos = light.new_tensor([1.0, scene.floor_albedo, scene.wall_albedo, 1.0])
    rise = ((facing - scene.gloss_start) / scene.gloss_ramp).clamp(0, 1)
    gloss = torch.where(met, scene.gloss * spot * rise, 0.0)
    return Samples(surface, light * albedos[surface.long()], gloss)


def place_camera(scene: Scene, degrees: Float64[Tensor, " G"], n_side: int) -> Camera:
    """Return the camera's rays at these orientations; see `trace` for their grid."""
    # From Python's own functions, so that every machine draws with the same numbers.
    angles = [math.radians(angle) for angle in degrees.tolist()]
    turns = [(math.sin(angle), math.cos(angle)) for angle in angles]
    sine, cosine = degrees.new_tensor(turns).reshape(-1, 2).T[:, :, None]  # each (G, 1)
    zero = torch.zeros_like(sine)
    rise = scene.target_height - scene.camera_height
    length = math.hypot(scene.orbit_radius, rise)
    level, climb = scene.orbit_radius / length, rise / length
    eye = torch.stack([sine, -cosine, zero], dim=1) * scene.orbit_radius
    eye[:, 2] = scene.camera_height
    view = torch.stack([-sine * level, cosine * level, zero + climb], dim=1)
    right = torch.stack([cosine, sine, zero], dim=1)
    up = torch.stack([sine * climb, -cosine * climb, zero + level], dim=1)
    width = IMAGE_SHAPE[2]
    cells = torch.arange(n_side, dtype=degrees.dtype, device=degrees.device)
    offsets = ((cells + 0.5) * (width / n_side) - width / 2) / scene.focal_length
    x, y = offsets.repeat(n_side), -offsets.repeat_interleave(n_side)
    return Camera(eye, view + right * x + up * y, view)


def _radius(scene: Scene, shape: int) -> float:
    radii = (scene.cube_radius, scene.cylinder_radius, scene.sphere_radius, scene.capsule_radius)
    return radii[shape]


def _meet_room(
    scene: Scene, camera: Camera
) -> tuple[Float64[Tensor, "G P"], Float64[Tensor, "G 3 P"]]:
    """Return where the rays leave the room, walls taken to have no end, and the normals there."""
    half = torch.tensor([1.0, scene.back_wall, 0.0], dtype=camera.rays.dtype)
    half = half.to(camera.rays.device)[:, None]
    ends = half * camera.rays.sign()
    ends[:, 2] = torch.where(camera.rays[:, 2] < 0, 0.0, math.inf)
    t = ((ends - camera.eye) / camera.rays).masked_fill(camera.rays == 0, math.inf)
    t, axis = t.min(dim=1)
    axes = torch.arange(3, device=axis.device)[:, None]
    return t, torch.where(axis[:, None] == axes, -camera.rays.sign(), 0.0)


def _surface(
    scene: Scene,
    met: Bool[Tensor, "G P"],
    room_normal: Float64[Tensor, "G 3 P"],
    points: Float64[Tensor, "G 3 P"],
) -> UInt8[Tensor, "G P"]:
    surface = torch.full_like(met, WALL, dtype=torch.uint8)
    surface[points[:, 2] > scene.wall_height] = SKY
    surface[room_normal[:, 2] > 0] = FLOOR
    surface[met] = OBJECT
    return surface


def _lamp(scene: Scene, like: Tensor) -> Float64[Tensor, "3 1"]:
    return like.new_tensor([[scene.lamp_x], [scene.lamp_y], [scene.lamp_z]])


def _spot(scene: Scene, to_lamp: Float64[Tensor, "G 3 P"]) -> Float64[Tensor, "G P"]:
    axis = to_lamp.new_tensor([[-scene.spot_x], [-scene.spot_y], [1.0]])
    length = to_lamp.square().sum(dim=1).sqrt() * math.hypot(scene.spot_x, scene.spot_y, 1.0)
    cosine = _dot(axis, to_lamp) / length
    return cosine.clamp(min=0).pow(scene.spot_exponent)


def _dot(a: Tensor, b: Tensor) -> Float64[Tensor, "G P"]:
    return (a * b).sum(dim=1)
