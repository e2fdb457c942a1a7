"""Class variance: how much a unit's activation varies over images of one class, as a ratio.

The coefficient of variation, standard deviation over mean, of the unit's largest activation on
patches, within each class. Symbols: N images, U units, C classes.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.neurons.class_selectivity import require_labelled


def class_variance(
    patch_maxima: Float[Tensor, "N U"], labels: Int64[Tensor, " N"], n_classes: int
) -> Float64[Tensor, "C U"]:
    """Return the coefficient of variation of each unit within each class, 0 or above.

    The standard deviation has n - 1 in the denominator. NaN where the mean is 0 or below (a unit
    that does not fire on the class has no scale to measure its spread by; a dead unit is one), and
    for a class with fewer than two images. A mean just above 0 gives a large value: average over
    units with care.

    >>> patch_maxima = torch.tensor([[1.0, 0.0], [3.0, 0.0], [5.0, 7.0]])
    >>> class_variance(patch_maxima, torch.tensor([0, 0, 1]), 2)
    tensor([[0.7071,    nan],
            [   nan,    nan]], dtype=torch.float64)

    Raises:
        ValueError: activations that are not finite, labels of another length or outside 0 to C - 1.
    """
    require_labelled(patch_maxima, labels, n_classes)
    counts = torch.bincount(labels, minlength=n_classes)[:, None]
    means = class_means(patch_maxima, labels, n_classes)
    # Two passes: squares of deviations lose no digits to a large mean.
    deviations = patch_maxima.double() - means[labels]
    squares = torch.zeros_like(means).index_add_(0, labels, deviations.square_())
    spread = (squares / (counts - 1).clamp(min=0)).sqrt()  # 0 / 0 with a single image
    return torch.where((means > 0) & (counts > 1), spread / means, torch.nan)


def class_means(
    activations: Float[Tensor, "N U"], labels: Int64[Tensor, " N"], n_classes: int
) -> Float64[Tensor, "C U"]:
    """Return the mean activation of each unit on each class; NaN for a class without images."""
    counts = torch.bincount(labels, minlength=n_classes)[:, None]
    totals = torch.zeros(
        n_classes, activations.shape[1], dtype=torch.float64, device=activations.device
    )
    return totals.index_add_(0, labels, activations.double()) / counts
