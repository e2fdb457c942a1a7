"""Integrated gradients: completeness, and a function whose integral is known."""

import pytest
import torch
from torch import nn

from seethrough.attribution.integrated_gradients import integrated_gradients


class Cubic(nn.Module):
    def forward(self, images):
        return torch.stack([images.pow(3).sum(dim=(1, 2, 3)), images.sum(dim=(1, 2, 3))], dim=1)


def test_by_hand():
    # From 0 to x the gradient 3 (t x)^2 integrates to x^2, times x: x^3. Two points of
    # Gauss-Legendre integrate polynomials of degree 3 exactly.
    images = torch.arange(12.0).view(1, 3, 2, 2).double() / 10
    maps = integrated_gradients(Cubic(), images, torch.tensor([0]), n_steps=2)
    torch.testing.assert_close(maps, images.pow(3).sum(dim=1))


def test_sums_to_the_difference_of_logits(tiny_vit):
    model = tiny_vit(depth=2).double()
    images = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double() / 4
    targets = torch.tensor([0, 3])
    maps = integrated_gradients(model, images, targets, n_steps=64)
    with torch.no_grad():
        moved = model(images) - model(torch.zeros_like(images))
    expected = torch.stack([moved[0, 0], moved[1, 3]])
    torch.testing.assert_close(maps.sum(dim=(1, 2)), expected, rtol=1e-3, atol=1e-4)


def test_batch_size_does_not_matter(tiny_vit):
    model = tiny_vit(depth=1).double()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    one = integrated_gradients(model, images, n_steps=5, batch_size=1)
    other = integrated_gradients(model, images, n_steps=5, batch_size=100)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("wrong", [{"n_steps": 0}, {"batch_size": 0}])
def test_no_steps_and_no_batch_are_refused(tiny_vit, wrong):
    with pytest.raises(ValueError, match="allowed is at least 1"):
        integrated_gradients(tiny_vit(), torch.zeros(1, 3, 16, 16), **wrong)
