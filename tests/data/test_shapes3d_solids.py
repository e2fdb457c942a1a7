"""Crossings and normals of unit solids, against hand-worked rays and marching along rays."""

import math

import pytest
import torch

from seethrough.data.shapes3d_solids import HALF_HEIGHTS, crossing, normals


def one_ray(origin: list[float], direction: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(
        torch.tensor(vector, dtype=torch.float64)[None, :, None] for vector in (origin, direction)
    )


def cross_one(shape: int, origin: list[float], direction: list[float]) -> list[float]:
    return [t.item() for t in crossing(shape, *one_ray(origin, direction))]


def inside(shape: int, x: float, y: float, z: float) -> bool:
    if shape == 0:
        return max(abs(x), abs(y), abs(z)) <= 1
    if shape == 1:
        return x * x + y * y <= 1 and abs(z) <= 1
    if shape == 2:
        return x * x + y * y + z * z <= 1
    nearest = min(max(z, -1.0), 1.0)
    return x * x + y * y + (z - nearest) ** 2 <= 1


def test_rays_by_hand():
    # Along x from -3: every solid has half width 1 at mid height.
    for shape in range(4):
        assert cross_one(shape, [-3, 0, 0], [1, 0, 0]) == pytest.approx([2, 4])
    # Straight down from z = 5 beside the axis: half heights 1, 1, 1, 2 less the round end's part.
    down = [cross_one(shape, [0.6, 0, 5], [0, 0, -1])[0] for shape in range(4)]
    assert down == pytest.approx([4, 4, 4.2, 3.2])
    # Twice the direction, half the t.
    assert cross_one(2, [-3, 0, 0], [2, 0, 0]) == pytest.approx([1, 2])


def test_misses_enter_after_they_leave():
    for shape in range(4):
        enter, leave = cross_one(shape, [-3, 1.5, 0], [1, 0.0, 0.01])
        assert enter > leave
        enter, leave = cross_one(shape, [0, 1.5, 5], [0, 0, -1])
        assert enter > leave


def test_the_capsule_crosses_its_round_end_and_its_side():
    # At x = 0.6, z = 1.8 the upper sphere's surface: 0.6^2 + 0.8^2 = 1.
    enter, leave = cross_one(3, [-3, 0, 1.8], [1, 0, 0])
    assert (enter, leave) == pytest.approx((2.4, 3.6))
    # Rising by 1 per unit of x from (-2, 0, 0): in at the side, at x = -1; out at the upper
    # sphere, where x^2 + (x + 1)^2 = 1, at x = 0.
    assert cross_one(3, [-2, 0, 0], [1, 0, 1]) == pytest.approx([1, 2])


@pytest.mark.parametrize("shape", range(4))
def test_crossings_equal_marching_along_the_ray(shape):
    generator = torch.Generator().manual_seed(shape)
    directions = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    aims = 3 * torch.rand(60, 3, generator=generator, dtype=torch.float64) - 1.5
    origins = aims - 4 * directions / directions.norm(dim=1, keepdim=True)
    directions = directions / directions.norm(dim=1, keepdim=True)
    enters, leaves = crossing(shape, origins.T[None], directions.T[None])
    step, hits = 0.01, 0
    for start, way, enter, leave in zip(origins, directions, enters[0], leaves[0], strict=True):
        (a, b, c), (u, v, w) = start.tolist(), way.tolist()
        marks = [k * step for k in range(800)]
        within = [t for t in marks if inside(shape, a + t * u, b + t * v, c + t * w)]
        if not within:
            assert leave - enter <= step
            continue
        hits += 1
        assert within[0] - step <= enter <= within[0]
        assert within[-1] <= leave <= within[-1] + step
    assert 10 <= hits <= 55


@pytest.mark.parametrize("shape", range(4))
def test_normals_are_steepest_and_of_length_one(shape):
    generator = torch.Generator().manual_seed(10 + shape)
    origins = torch.randn(1, 3, 300, generator=generator, dtype=torch.float64)
    origins *= 6 / origins.norm(dim=1, keepdim=True)
    enter, leave = crossing(shape, origins, -origins)
    assert bool((enter < leave).all())
    points = origins * (1 - enter[:, None])
    found = normals(shape, points)
    assert torch.allclose(found.norm(dim=1), torch.ones(1, 300, dtype=torch.float64), atol=1e-9)
    # A little outwards leaves the solid, a little inwards stays in it.
    for point, normal in zip(points[0].T, found[0].T, strict=True):
        assert not inside(shape, *(point + 1e-4 * normal).tolist())
        assert inside(shape, *(point - 1e-4 * normal).tolist())


def test_half_heights_are_where_the_solids_end():
    for shape, half in enumerate(HALF_HEIGHTS):
        assert inside(shape, 0, 0, half)
        assert not inside(shape, 0, 0, math.nextafter(half, 9))
