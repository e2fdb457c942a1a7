"""Label entropy: over how many classes a unit's activation is spread.

    H = - sum_c p_c ln p_c,    p_c = m_c / sum_c m_c,    m_c = mean of ReLU(a) over class c

Symbols: N images, U units, C classes.
"""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from seethrough.neurons.class_selectivity import require_labelled
from seethrough.neurons.class_variance import class_means


def label_entropy(
    activations: Float[Tensor, "N U"], labels: Int64[Tensor, " N"], n_classes: int
) -> Float64[Tensor, " U"]:
    """Return the entropy of each unit over classes in nats, 0 to ln C.

    0 for a unit that fires on one class only, ln C for one that fires alike on all. The negative
    part of the activation counts as 0. A class without images is left out. A unit that is never
    above 0 (dead) has NaN. Class means are used, so classes of unequal size weigh the same.

    >>> activations = torch.tensor([[1.0, 2.0, -1.0], [1.0, 0.0, 0.0]])
    >>> label_entropy(activations, torch.tensor([0, 1]), 2)
    tensor([0.6931, 0.0000,    nan], dtype=torch.float64)

    Raises:
        ValueError: activations that are not finite, labels of another length or outside 0 to C - 1.
    """
    require_labelled(activations, labels, n_classes)
    means = class_means(activations.relu(), labels, n_classes).nan_to_num(nan=0.0)
    shares = means / means.sum(dim=0)  # 0 / 0 for a dead unit
    entropies: Tensor = torch.special.entr(shares).sum(dim=0)
    return entropies
