import pytest
import torch
from torch.nn import functional as F

from seethrough.attribution.map_sizes import to_patches, to_pixels


def test_to_patches_by_hand():
    maps = torch.arange(8.0).view(1, 2, 4)  # rows 0 1 2 3 and 4 5 6 7
    assert to_patches(maps, (1, 2)).tolist() == [[[0 + 1 + 4 + 5, 2 + 3 + 6 + 7]]]
    assert to_patches(maps, (2, 1)).tolist() == [[[6.0], [22.0]]]


def test_to_pixels_by_hand():
    # Centres of the two cells lie at pixels 0.5 and 2.5: pixels 1 and 2 are a quarter off.
    assert to_pixels(torch.tensor([[[0.0, 4.0]]]), (1, 4)).tolist() == [[[0.0, 1.0, 3.0, 4.0]]]


def test_maps_of_the_size_are_unchanged():
    maps = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert to_pixels(maps, (4, 4)) is maps
    assert torch.equal(to_patches(maps, (4, 4)), maps)


def test_to_patches_keeps_the_sum():
    maps = torch.randn(3, 12, 8, generator=torch.Generator().manual_seed(0)).double()
    torch.testing.assert_close(to_patches(maps, (3, 2)).sum((1, 2)), maps.sum((1, 2)))


def test_to_pixels_equals_torch():
    maps = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0)).double()
    expected = F.interpolate(maps[:, None], size=(12, 10), mode="bilinear")[:, 0]
    torch.testing.assert_close(to_pixels(maps, (12, 10)), expected)


def test_a_constant_map_stays_constant():
    """Exactly, for rounding would decide the order of its pixels."""
    assert torch.equal(to_pixels(torch.full((1, 2, 2), 3.0), (6, 8)), torch.full((1, 6, 8), 3.0))


def test_sizes_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match=r"size \(9, 8\) is no multiple of the grid \(4, 4\)"):
        to_pixels(torch.zeros(1, 4, 4), (9, 8))
    with pytest.raises(ValueError, match=r"size \(4, 4\) is no multiple of the grid \(0, 2\)"):
        to_patches(torch.zeros(1, 4, 4), (0, 2))
