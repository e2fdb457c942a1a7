"""Gradient times input, where the gradient is known."""

import pytest
import torch
from torch import nn

from seethrough.attribution.gradient_times_input import gradient_times_input


class Quadratic(nn.Module):
    """Class 0 scores the sum of squares, class 1 three times the sum."""

    def forward(self, images):
        return torch.stack([images.pow(2).sum(dim=(1, 2, 3)), 3 * images.sum(dim=(1, 2, 3))], dim=1)


def test_by_hand():
    # Class 0: gradient 2 x, map sum over channels of 2 x^2. Class 1: gradient 3, map 3 sum x.
    images = torch.arange(12.0).view(1, 3, 2, 2).repeat(2, 1, 1, 1) / 10
    maps = gradient_times_input(Quadratic(), images, torch.tensor([0, 1]))
    torch.testing.assert_close(maps[0], 2 * images[0].pow(2).sum(dim=0))
    torch.testing.assert_close(maps[1], 3 * images[1].sum(dim=0))


def test_equals_finite_differences(tiny_vit):
    model = tiny_vit(depth=1).double()
    image = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    found = gradient_times_input(model, image, torch.tensor([2]))[0]
    expected = 0.0
    for channel in range(3):  # one pixel, moved in every channel
        step = torch.zeros_like(image)
        step[0, channel, 5, 7] = 1e-6
        with torch.no_grad():
            slope = (model(image + step) - model(image - step))[0, 2] / 2e-6
        expected += float(slope * image[0, channel, 5, 7])
    assert float(found[5, 7]) == pytest.approx(expected, rel=1e-6)


def test_no_target_is_the_predicted_class(tiny_vit):
    model = tiny_vit()
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    predicted = model(images).argmax(dim=1)
    assert torch.equal(
        gradient_times_input(model, images), gradient_times_input(model, images, predicted)
    )


def test_no_image_is_refused(tiny_vit):
    with pytest.raises(ValueError, match="at least one image"):
        gradient_times_input(tiny_vit(), torch.zeros(0, 3, 16, 16))
