"""Relevance on an object whose place is known."""

import pytest
import torch

from seethrough.attribution.relevance_on_object import relevance_on_object


def corner(n: int = 1) -> torch.Tensor:
    """The upper left quarter of an image of 4 x 4."""
    objects = torch.zeros(n, 4, 4, dtype=torch.bool)
    objects[:, :2, :2] = True
    return objects


def test_by_hand():
    # Positive relevance 3 on the object's cell, 1 beside it, -5 counts as none: share 3/4 of the
    # relevance on 1/4 of the area, three times chance.
    found = relevance_on_object(torch.tensor([[[3.0, 1.0], [-5.0, 0.0]]]), corner())
    assert (float(found.share), float(found.area), float(found.lift)) == (0.75, 0.25, 3.0)


def test_a_cell_half_on_the_object_counts_half():
    objects = torch.zeros(1, 4, 4, dtype=torch.bool)
    objects[0, :, :1] = True  # half of the left cells
    found = relevance_on_object(torch.tensor([[[1.0, 0.0], [1.0, 0.0]]]), objects)
    assert (float(found.share), float(found.area), float(found.lift)) == (0.5, 0.25, 2.0)


def test_constant_maps_are_at_chance():
    objects = torch.rand(5, 8, 8, generator=torch.Generator().manual_seed(0)) < 0.3
    for grid in ((8, 8), (4, 2), (1, 1)):
        found = relevance_on_object(torch.full((5, *grid), 0.7, dtype=torch.float64), objects)
        torch.testing.assert_close(found.lift, torch.ones(5, dtype=torch.float64))


def test_equals_a_loop_over_pixels():
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2, 2, 3, generator=generator).double()
    objects = torch.rand(2, 4, 6, generator=generator) < 0.5
    found = relevance_on_object(maps, objects)
    for image in range(2):
        on, everywhere = 0.0, 0.0
        for y in range(4):
            for x in range(6):
                relevance = max(0.0, float(maps[image, y // 2, x // 2]))
                everywhere += relevance
                on += relevance * bool(objects[image, y, x])
        assert float(found.share[image]) == pytest.approx(on / everywhere)
        assert float(found.area[image]) == pytest.approx(float(objects[image].sum()) / 24)


def test_nothing_positive_has_no_share_and_no_object_no_lift():
    maps = torch.tensor([[[0.0, -1.0]], [[1.0, 0.0]], [[1.0, 2.0]]])
    objects = torch.tensor([[[True, False]], [[False, False]], [[True, True]]])
    found = relevance_on_object(maps, objects)
    assert found.share.isnan().tolist() == [True, False, False]
    assert found.share[1:].tolist() == [0.0, 1.0]
    assert found.lift.isnan().tolist() == [True, True, False]
    assert float(found.lift[2]) == 1.0


def test_bad_input_is_refused(no_shape_checks):
    with pytest.raises(ValueError, match="got 2 and 1"):
        relevance_on_object(torch.zeros(2, 2, 2), corner())
    with pytest.raises(ValueError, match="got 0 and 0"):
        relevance_on_object(torch.zeros(0, 2, 2), corner(0))
    with pytest.raises(ValueError, match="must be finite"):
        relevance_on_object(torch.full((1, 2, 2), torch.nan), corner())
    with pytest.raises(ValueError, match="is no multiple of the grid"):
        relevance_on_object(torch.zeros(1, 3, 3), corner())
