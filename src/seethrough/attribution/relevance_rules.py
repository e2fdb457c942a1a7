"""How layer-wise relevance propagation hands relevance back through one operation.

Relevance R of an output Z is shared among the inputs in proportion to what they gave. The rules
are those of {cite:t}`chefer2021transformer` for transformers: a linear layer counts positive
contributions only (alpha 1, beta 0), a product of two activations gives half to each, a sum of two
branches is rescaled so that its branches carry R exactly. Softmax, GELU and LayerNorm hand
relevance through unchanged and need no function. Sums run over one sample, never over the batch.
"""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

EPSILON = 1e-9
"""Added to every denominator."""

LayerScaleRule = Literal["identity", "inverse_gamma"]
"""How relevance passes y = gamma x: unchanged, or divided by gamma."""


def safe_divide(
    numerator: Float[Tensor, "*shape"], denominator: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Return numerator / (denominator + EPSILON), and 0 where the denominator is 0.

    >>> safe_divide(torch.tensor([6.0, 6.0]), torch.tensor([2.0, 0.0])).tolist()
    [3.0, 0.0]
    """
    shifted = denominator + EPSILON
    shifted = torch.where(shifted == 0, EPSILON, shifted)
    return torch.where(denominator == 0, 0.0, numerator / shifted)


def linear_relevance(
    relevance: Float[Tensor, "*batch out"],
    inputs: Float[Tensor, "*batch in"],
    weight: Float[Tensor, "out in"],
) -> Float[Tensor, "*batch in"]:
    """Return the relevance of a linear layer's inputs by its positive contributions.

    R_i = sum_j R_j (x_i w_ji)^+ / sum_k (x_k w_jk)^+, without the bias. An output that receives
    no positive contribution loses its relevance; else the sum is conserved. Cost: four matrix
    products of the layer's size.
    """
    positive, negative = weight.clamp(min=0), weight.clamp(max=0)
    total = F.linear(inputs.clamp(min=0), positive) + F.linear(inputs.clamp(max=0), negative)
    per_unit = safe_divide(relevance, total)
    # x^+ meets w^+ and x^- meets w^-, so the input's sign picks the product it takes part in.
    return inputs * torch.where(inputs > 0, per_unit @ positive, per_unit @ negative)


def product_relevance(
    relevance: Float[Tensor, "*batch rows columns"],
    left: Float[Tensor, "*batch rows inner"],
    right: Float[Tensor, "*batch inner columns"],
) -> tuple[Float[Tensor, "*batch rows inner"], Float[Tensor, "*batch inner columns"]]:
    """Return the relevance of both factors of Z = left @ right, half of the whole each.

    Each factor gets input * dZ/dinput (R / Z) / 2. The sum is conserved where no Z is 0.
    """
    ratio = safe_divide(relevance, left @ right)
    of_left = left * (ratio @ right.transpose(-2, -1)) / 2
    of_right = right * (left.transpose(-2, -1) @ ratio) / 2
    return of_left, of_right


def sum_relevance(
    relevance: Float[Tensor, "B T D"], one: Float[Tensor, "B T D"], other: Float[Tensor, "B T D"]
) -> tuple[Float[Tensor, "B T D"], Float[Tensor, "B T D"]]:
    """Return the relevance of both branches of Z = one + other.

    Each branch first gets a = input * R / Z, then is rescaled to carry |sum a| / (|sum a| +
    |sum b|) of the sample's whole relevance. Conserved unless both sums are 0; a branch whose
    own sum is 0 gets nothing.
    """
    ratio = safe_divide(relevance, one + other)
    whole = relevance.sum(dim=(1, 2), keepdim=True)  # (B, 1, 1)
    shares = [one * ratio, other * ratio]
    sums = [share.sum(dim=(1, 2), keepdim=True) for share in shares]
    size = sums[0].abs() + sums[1].abs()
    first, second = (
        share * safe_divide(safe_divide(total.abs(), size) * whole, total)
        for share, total in zip(shares, sums, strict=True)
    )
    return first, second


def layer_scale_relevance(
    relevance: Float[Tensor, "B T D"], gamma: Float[Tensor, " D"], rule: LayerScaleRule
) -> Float[Tensor, "B T D"]:
    """Return the relevance of x in y = gamma x.

    "identity" hands it through: y is element-wise and linear, so this is what conserves relevance.
    "inverse_gamma" divides it by gamma, which does not, and grows without bound as gamma nears 0;
    where gamma is exactly 0 the relevance is 0.
    """
    if rule == "identity":
        return relevance
    return safe_divide(relevance, gamma.expand_as(relevance))
