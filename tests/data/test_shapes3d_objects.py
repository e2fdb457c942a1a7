"""Where the object is: against the renderer's own colours, and what the masks must obey."""

import pytest
import torch

from seethrough.data.shapes3d import render
from seethrough.data.shapes3d_objects import object_masks

# floor hue, wall hue, object hue, scale, shape, orientation
SHAPES = torch.tensor([[0, 0, 0, 7, shape, 7] for shape in range(4)])


@pytest.mark.parametrize("shape", range(4))
def test_pixels_that_follow_the_objects_hue_are_those_of_the_mask(shape):
    # Two renders that differ in object hue alone: what the object covers whole or in part changes,
    # all else stays. At least half covered is in the mask, so it holds all pixels that change
    # much, and none that does not change.
    first = torch.tensor([[0, 0, 3, 4, shape, 2]])
    second = torch.tensor([[0, 0, 8, 4, shape, 2]])
    changed = (render(first).int() - render(second).int()).abs().amax(dim=1)[0]
    (mask,) = object_masks(first)
    assert mask.any()
    assert bool((changed[mask] > 0).all())
    strongly = changed > 0.75 * changed.max()
    assert strongly.sum() > 20
    assert bool(mask[strongly].all())
    assert int(((changed > 0) & ~mask).sum()) < int(mask.sum()) / 2  # a rim


def test_hues_do_not_matter():
    hued = SHAPES.clone()
    hued[:, :3] = torch.tensor([5, 9, 2])
    assert torch.equal(object_masks(SHAPES), object_masks(hued))


@pytest.mark.parametrize("shape", range(4))
def test_the_mask_grows_with_scale(shape):
    classes = torch.tensor([[0, 0, 0, scale, shape, 7] for scale in range(8)])
    areas = object_masks(classes).sum(dim=(1, 2))
    assert bool((areas.diff() > 0).all()), areas.tolist()
    # Scale goes from 0.75 to 1.25 and area with its square, 2.8 times as much; the nearer surface
    # adds a little.
    assert 2.3 < areas[-1] / areas[0] < 3.6


def test_the_mask_is_one_piece_around_the_middle_column():
    for mask in object_masks(SHAPES):
        columns = mask.any(dim=0).nonzero()[:, 0]
        assert columns.tolist() == list(range(int(columns[0]), int(columns[-1]) + 1))
        assert int(columns[0]) < 32 <= int(columns[-1])
        rows = mask.any(dim=1).nonzero()[:, 0]
        assert rows.tolist() == list(range(int(rows[0]), int(rows[-1]) + 1))


def test_a_sphere_looks_alike_from_everywhere_but_a_cube_does_not():
    views = torch.tensor([[0, 0, 0, 7, shape, turn] for shape in (2, 0) for turn in (0, 7)])
    sphere, same_sphere, cube, turned_cube = object_masks(views)
    assert torch.equal(sphere, same_sphere)
    assert not torch.equal(cube, turned_cube)


def test_order_and_repetition():
    twice = object_masks(torch.cat([SHAPES[2:3], SHAPES[:1], SHAPES[2:3]]))
    assert torch.equal(twice[0], twice[2])
    assert torch.equal(twice[1], object_masks(SHAPES)[0])


def test_no_images_no_masks():
    masks = object_masks(SHAPES[:0])
    assert masks.shape == (0, 64, 64)
    assert masks.dtype == torch.bool


@pytest.mark.parametrize(("column", "value"), [(3, 8), (4, 4), (5, 15), (0, 10), (3, -1)])
def test_classes_that_are_not_there_are_refused(column, value):
    wrong = SHAPES[:1].clone()
    wrong[0, column] = value
    with pytest.raises(ValueError, match=f"{value}"):
        object_masks(wrong)
