import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    orbit_radius: float = 0.658
    camera_height: float = 0.205
    target_height: float = 0.205
    focal_length: float = 67.6
    principal_row: float = 32.0
    wall_height: float = 0.57
    cube_half: float = 0.10
    gap: float = 0.004
    cylinder_radius: float = 0.1
    sphere_radius: float = 0.1
    capsule_radius: float = 0.07
    ambient: float = 0.353
    headlight: float = 0.596
    lamp: float = 0.9
    gloss: float = 0.125
    lamp_x: float = -0.5
    lamp_y: float = 0.3
    lamp_z: float = 1.5
    spot_x: float = 0.3
    spot_y: float = -0.1
    spot_exponent: float = 10.0
    back_wall: float = 1.0
    gloss_shift: float = 0.05
    gloss_ramp: float = 0.15
    floor_albedo: float = 1.0
    wall_albedo: float = 1.0


SKY, FLOOR, WALL, OBJECT = range(4)


def rays(scene, degrees, n):
    """origin (G,3,1), direction (G,3,P) and forward (G,3,1)"""
    a = torch.deg2rad(degrees)[:, None]
    zero = torch.zeros_like(a)
    r, rise = scene.orbit_radius, scene.target_height - scene.camera_height
    length = math.hypot(r, rise)
    fwd = torch.stack([-a.sin() * r / length, a.cos() * r / length, zero + rise / length], 1)
    right = torch.stack([a.cos(), a.sin(), zero], 1)
    up = torch.cross(right, fwd, dim=1)
    eye = torch.stack([a.sin() * r, -a.cos() * r, zero + scene.camera_height], 1)
    p = (torch.arange(n, dtype=torch.float64) + 0.5) * (64 / n)
    x = (p - 32) / scene.focal_length
    y = (scene.principal_row - p) / scene.focal_length
    x, y = x.repeat(n), y.repeat_interleave(n)
    return eye, fwd + right * x + up * y, fwd


BIG = 1e9


def slab(o, d, lo, hi):
    a, b = (lo - o) / d, (hi - o) / d
    return torch.minimum(a, b), torch.maximum(a, b)


def quad(a, b, c):
    """roots of a t^2 + 2 b t + c"""
    disc = b * b - a * c
    root = disc.clamp(min=0).sqrt()
    hit = disc > 0
    return torch.where(hit, (-b - root) / a, BIG), torch.where(hit, (-b + root) / a, -BIG)


def extents(scene, shape, scale):
    """radius, low, height"""
    r = (scene.cube_half, scene.cylinder_radius, scene.sphere_radius, scene.capsule_radius)[shape] * scale
    return r, scene.gap + 0 * scale, (4 if shape == 3 else 2) * r


def interval(scene, shape, scale, o, d):
    """entry, exit t of the ray with the object, entry > exit = miss; unnormalised d"""
    ox, oy, oz = o.unbind(1)
    dx, dy, dz = d.unbind(1)
    r, low, height = extents(scene, shape, scale)
    zl, zh = slab(oz, dz, low, low + height)
    if shape == 0:
        xl, xh = slab(ox, dx, -r, r)
        yl, yh = slab(oy, dy, -r, r)
        return torch.maximum(torch.maximum(xl, yl), zl), torch.minimum(torch.minimum(xh, yh), zh)
    cyl = quad(dx * dx + dy * dy, ox * dx + oy * dy, ox * ox + oy * oy - r * r)
    if shape == 1:
        return torch.maximum(cyl[0], zl), torch.minimum(cyl[1], zh)
    outs = []
    dd = dx * dx + dy * dy + dz * dz
    for c in (low + r,) if shape == 2 else (low + r, low + height - r):
        w = oz - c
        outs.append(quad(dd, ox * dx + oy * dy + w * dz, ox * ox + oy * oy + w * w - r * r))
    if shape == 2:
        return outs[0]
    zl, zh = slab(oz, dz, low + r, low + height - r)
    a, b = torch.maximum(cyl[0], zl), torch.minimum(cyl[1], zh)
    a, b = torch.where(a < b, a, BIG), torch.where(a < b, b, -BIG)
    return (
        torch.minimum(a, torch.minimum(outs[0][0], outs[1][0])),
        torch.maximum(b, torch.maximum(outs[0][1], outs[1][1])),
    )


def object_normal(scene, shape, scale, p):
    x, y, z = p.unbind(1)
    r, low, height = extents(scene, shape, scale)
    r = torch.as_tensor(r, dtype=torch.float64)
    mid = low + height / 2
    half = height / 2
    if shape == 0:
        m = torch.stack([x / r, y / r, (z - mid) / half], 1)
        return torch.where(m.abs() == m.abs().amax(1, keepdim=True), m.sign(), 0.0)
    if shape == 1:
        cap = (z - mid).abs() / half > (x * x + y * y).sqrt() / r
        return torch.stack(
            [torch.where(cap, 0.0, x / r), torch.where(cap, 0.0, y / r), torch.where(cap, (z - mid).sign(), 0.0)], 1
        )
    c = torch.minimum(torch.maximum(z, low + r), low + height - r)
    return torch.stack([x / r, y / r, (z - c) / r], 1)


def trace(scene: Scene, shape: int, scale: Tensor, degrees: Tensor, n: int = 192):
    """surface id, light, gloss each (G, n*n) for geometries of one shape"""
    scale = scale[:, None]
    eye, d, fwd = rays(scene, degrees, n)
    o = eye.expand_as(d)
    t_floor = torch.where(d[:, 2] < 0, -eye[:, 2] / d[:, 2], BIG)
    t_x = (d[:, 0].sign() - eye[:, 0]) / d[:, 0]
    t_y = (d[:, 1].sign() * scene.back_wall - eye[:, 1]) / d[:, 1]
    t_wall = torch.minimum(t_x, t_y)
    enter, leave = interval(scene, shape, scale, o, d)
    t_obj = torch.where(enter < leave, enter, BIG)
    t = torch.minimum(torch.minimum(t_floor, t_wall), t_obj)
    p = o + t[:, None] * d
    is_obj = t_obj < BIG
    is_floor = ~is_obj & (t_floor < t_wall)
    is_sky = ~is_obj & ~is_floor & (p[:, 2] > scene.wall_height)
    surface = torch.full(t.shape, WALL)
    surface[is_floor] = FLOOR
    surface[is_sky] = SKY
    surface[is_obj] = OBJECT
    zero = torch.zeros_like(t)
    wall_x = t_x < t_y
    normal = torch.stack(
        [
            torch.where(is_floor | ~wall_x, zero, -d[:, 0].sign()),
            torch.where(is_floor | wall_x, zero, -d[:, 1].sign()),
            torch.where(is_floor, 1.0, zero),
        ],
        1,
    )
    normal = torch.where(is_obj[:, None], object_normal(scene, shape, scale, p), normal)
    lamp = torch.tensor([scene.lamp_x, scene.lamp_y, scene.lamp_z], dtype=torch.float64)[:, None]
    to = lamp - p
    dist = to.square().sum(1).sqrt()
    l = to / dist[:, None]
    axis = torch.tensor([scene.spot_x, scene.spot_y, -1.0], dtype=torch.float64)[:, None]
    axis = axis / axis.norm()
    spot = (-(l * axis).sum(1)).clamp(min=0) ** scene.spot_exponent
    a, b = interval(scene, shape, scale, p, to)
    shadow = ~is_obj & (a < b) & (b > 0) & (a < 1)
    facing = (normal * l).sum(1)
    power = torch.where(shadow, 0.0, spot)
    head = -(normal * fwd).sum(1)
    light = scene.ambient + scene.headlight * head.clamp(min=0) + scene.lamp * power * facing.clamp(min=0)
    light = torch.where(is_floor, scene.floor_albedo * light, light)
    light = torch.where(surface == WALL, scene.wall_albedo * light, light)
    gloss = torch.where(is_obj, scene.gloss * power * ((facing + scene.gloss_shift) / scene.gloss_ramp).clamp(0, 1), 0.0)
    return surface, light, gloss


def lanczos(n: int, taps: int = 3) -> Tensor:
    """(64, n) rows sum to 1"""
    ratio = n / 64
    x = ((torch.arange(n, dtype=torch.float64) + 0.5)[None] / ratio - torch.arange(64)[:, None] - 0.5)
    w = torch.where(x.abs() < taps, torch.sinc(x) * torch.sinc(x / taps), 0.0)
    return w / w.sum(1, keepdim=True)
