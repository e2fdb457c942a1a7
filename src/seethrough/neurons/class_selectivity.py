"""Class selectivity: how well a unit's activation detects one class against all others.

The area under the ROC curve of the activation as a score for class c. By ranks, with n_c images of
the class among N and R_c the sum of their mid-ranks,

    AUROC = (R_c - n_c (n_c + 1) / 2) / (n_c (N - n_c)).

The same as the share of pairs of one image of the class and one of another in which the first has
the larger activation, equal ones counting one half. Symbols: N images, U units, C classes.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.neurons.mid_ranks import doubled_ranks_in_order

# Activations sorted at once: 8 bytes each for the order, and a few such arrays.
MAX_SORTED = 1 << 22


def class_selectivity(
    activations: Float[Tensor, "N U"], labels: Int64[Tensor, " N"], n_classes: int
) -> Float64[Tensor, "C U"]:
    """Return the AUROC of each unit for each class against the rest, 0 to 1.

    0.5 is chance, and what a unit that is equal on all images has (a dead one, for instance). Below
    0.5 the unit is lower on the class than elsewhere. NaN for a class that has no image, or every
    image. Exact: ranks are summed as integers. One sort per unit serves all classes.

    >>> activations = torch.tensor([[1.0], [2.0], [2.0], [3.0]])
    >>> class_selectivity(activations, torch.tensor([0, 0, 1, 1]), 2)
    tensor([[0.1250],
            [0.8750]], dtype=torch.float64)

    Raises:
        ValueError: activations that are not finite, labels of another length or outside 0 to C - 1.
    """
    require_labelled(activations, labels, n_classes)
    n = len(labels)
    counts = torch.bincount(labels, minlength=n_classes)[:, None]
    doubled = torch.empty(
        n_classes, activations.shape[1], dtype=torch.int64, device=activations.device
    )
    # A loop over blocks of units bounds the memory of the sort.
    for some in unit_blocks(activations, MAX_SORTED):
        ranks, order = doubled_ranks_in_order(activations[:, some].T.contiguous())
        sums = torch.zeros(len(ranks), n_classes, dtype=torch.int64, device=ranks.device)
        doubled[:, some] = sums.scatter_add_(1, labels[order], ranks).T
    pairs = 2 * counts * (n - counts)
    return (doubled - counts * (counts + 1)).double() / pairs  # 0 / 0 without images or rest


def unit_blocks(activations: Float[Tensor, "N U"], max_values: int) -> list[slice]:
    """Return slices over the units of at most `max_values` values each, or of one unit."""
    n, n_units = activations.shape
    step = max(1, max_values // max(n, 1))
    return [slice(start, start + step) for start in range(0, n_units, step)]


def require_labelled(
    activations: Float[Tensor, "N U"], labels: Int64[Tensor, " _"], n_classes: int
) -> None:
    """Raise ValueError unless every image has one label, 0 to C - 1, and finite activations."""
    if len(labels) != len(activations):
        raise ValueError(f"labels are {len(labels)}, allowed is {len(activations)}, one per image")
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < n_classes:
        raise ValueError(
            f"labels are {int(labels.min())} to {int(labels.max())}, "
            f"allowed is 0 to {n_classes - 1}"
        )
    if not bool(torch.isfinite(activations).all()):
        bad = (~torch.isfinite(activations)).any(dim=0).nonzero()[:5, 0].tolist()
        raise ValueError(f"activations must be finite, got NaN or an infinity in units {bad}")
