"""A blurred image: the start of insertion that keeps the colours and hides the shapes."""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

KERNEL_SIZE = 11
SIGMA = 5.0


def gaussian_blur(
    images: Float[Tensor, "B C H W"], kernel_size: int = KERNEL_SIZE, sigma: float = SIGMA
) -> Float[Tensor, "B C H W"]:
    """Return the images blurred by a Gaussian cut to `kernel_size` pixels, `sigma` in pixels.

    The weights sum to 1. Beyond the border stands 0, the mean colour in normalised space, as in
    {cite:t}`petsiuk2018rise`, whose kernel size and sigma are the defaults.

    Raises:
        ValueError: a kernel size that is even or below 1, or sigma that is not above 0.
    """
    if kernel_size < 1 or kernel_size % 2 == 0 or not sigma > 0:
        raise ValueError(
            f"kernel_size is {kernel_size} and sigma {sigma}, allowed is an odd size from 1 on and "
            "a sigma above 0"
        )
    offsets = torch.arange(kernel_size, dtype=images.dtype, device=images.device) - kernel_size // 2
    weights = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)  # exp(...) over its sum
    n_channels, half = images.shape[1], kernel_size // 2
    rows = weights.view(1, 1, -1, 1).expand(n_channels, 1, -1, 1)
    columns = weights.view(1, 1, 1, -1).expand(n_channels, 1, 1, -1)
    # The Gaussian is a product of one over rows and one over columns: 22 weights instead of 121.
    blurred = F.conv2d(images, rows, padding=(half, 0), groups=n_channels)
    return F.conv2d(blurred, columns, padding=(0, half), groups=n_channels)
