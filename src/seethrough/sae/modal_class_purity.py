"""Modal-class purity: the share of one class among the images on which a latent is highest.

Symbols: N images, U latents, C classes.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.neurons.class_selectivity import require_labelled


def modal_class_purity(
    activations: Float[Tensor, "N U"], labels: Int64[Tensor, " N"], n_classes: int, count: int = 16
) -> Float64[Tensor, " U"]:
    """Return the share of the commonest class among each latent's `count` highest images.

    1 if all are of one class, 1 / min(C, count) at least. NaN for a latent that is above 0 on fewer
    than `count` images: the share among few images is high by itself. Of equal activations the
    earlier image comes first.

    >>> activations = torch.tensor([[5.0, 0.0], [4.0, 1.0], [3.0, 0.0], [1.0, 0.0]])
    >>> modal_class_purity(activations, torch.tensor([0, 1, 1, 0]), 2, count=3)
    tensor([0.6667,    nan], dtype=torch.float64)

    Raises:
        ValueError: a count outside 1 to N, activations that are not finite, labels of another
            length or outside 0 to C - 1.
    """
    require_labelled(activations, labels, n_classes)
    if not 1 <= count <= len(activations):
        raise ValueError(f"count is {count}, allowed is 1 to {len(activations)} images")
    highest = activations.argsort(dim=0, descending=True, stable=True)[:count]  # (count, U)
    classes = labels[highest]
    votes = torch.zeros(n_classes, activations.shape[1], dtype=torch.int64, device=labels.device)
    votes.scatter_add_(0, classes, torch.ones_like(classes))
    enough = (activations > 0).sum(0) >= count
    return torch.where(enough, votes.amax(0).double() / count, torch.nan)
