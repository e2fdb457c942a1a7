"""The blur, against its double sum."""

import math

import pytest
import torch

from seethrough.attribution.gaussian_blur import gaussian_blur


def test_by_hand():
    # Three weights e^-1/2, 1, e^-1/2 over their sum, for sigma 1; one bright pixel in the middle.
    edge = math.exp(-0.5) / (1 + 2 * math.exp(-0.5))
    centre = 1 - 2 * edge
    image = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    image[0, 0, 1, 1] = 1
    weights = torch.tensor([edge, centre, edge], dtype=torch.float64)
    blurred = gaussian_blur(image, kernel_size=3, sigma=1.0)
    torch.testing.assert_close(blurred[0, 0], torch.outer(weights, weights))


def test_equals_the_double_sum_with_zeros_beyond_the_border():
    image = torch.randn(1, 2, 5, 6, generator=torch.Generator().manual_seed(0)).double()
    weights = {d: math.exp(-(d**2) / 50) for d in range(-5, 6)}
    norm = sum(weights.values())
    expected = torch.zeros_like(image)
    for y in range(5):
        for x in range(6):
            for v in range(5):
                for u in range(6):
                    if abs(y - v) <= 5 and abs(x - u) <= 5:
                        w = weights[y - v] * weights[x - u] / norm**2
                        expected[:, :, y, x] += w * image[:, :, v, u]
    torch.testing.assert_close(gaussian_blur(image), expected)


@pytest.mark.parametrize("wrong", [{"kernel_size": 4}, {"kernel_size": -1}, {"sigma": 0.0}])
def test_even_kernels_and_no_width_are_refused(wrong):
    with pytest.raises(ValueError, match="allowed is an odd size from 1 on and a sigma above 0"):
        gaussian_blur(torch.zeros(1, 3, 4, 4), **wrong)
