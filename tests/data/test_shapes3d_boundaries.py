"""Shifts of edges, on images of steps whose shift is known."""

import pytest
import torch

from seethrough.data.shapes3d_boundaries import boundary_shifts


def step_image(position: float) -> torch.Tensor:
    """Red left of a column position, blue right of it, the pixel at the edge mixed; 12 rows."""
    share = (position - torch.arange(40, dtype=torch.float64)).clamp(0, 1)  # of red
    image = torch.stack([200 * share, torch.zeros(40).double(), 250 * (1 - share)])
    return image[None, :, None, :].repeat(1, 1, 12, 1)


@pytest.mark.parametrize("shift", [-2.0, -0.3, 0.0, 0.45, 2.0])
def test_a_moved_edge_has_its_shift_in_each_row(shift):
    shifts = boundary_shifts(step_image(20.0), step_image(20.0 + shift))
    assert torch.allclose(shifts, torch.full((12,), shift, dtype=torch.float64))


def test_columns_count_downwards():
    shifts = boundary_shifts(step_image(20.0).mT, step_image(20.5).mT)
    assert torch.allclose(shifts, torch.full((12,), 0.5, dtype=torch.float64))


def test_faint_and_crowded_edges_are_left_out():
    faint = step_image(20.0) / 8  # |A - B| = 320 / 8 = 40
    assert len(boundary_shifts(faint, faint)) == 0
    crowded = step_image(20.0)
    crowded[..., 22:] = 130.0  # a second edge two pixels on
    assert len(boundary_shifts(crowded, crowded)) == 0


def test_no_images_no_edges():
    none = torch.empty(0, 3, 12, 40, dtype=torch.float64)
    assert boundary_shifts(none, none).shape == (0,)
