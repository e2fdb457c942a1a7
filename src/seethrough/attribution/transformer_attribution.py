"""Transformer attribution: attention's relevance, weighted by its gradient, along the blocks.

    C = (I + M_L) ... (I + M_s),   M_l = mean over heads of max(0, dA_l * R_l)

A_l are the attention probabilities of block l, dA_l their gradient of the target's logit, R_l their
relevance by layer-wise relevance propagation. The map is the class token's row of C over the
patches ({cite:t}`chefer2021transformer`; the rows are not normalised there for vision transformers,
nor here).

The published code explains one image at a time, for its sums run over the batch and it reads sample
0. Here every sum runs over one image, so an image's map is that of a batch of its own.
"""

from collections.abc import Iterator
from typing import Any, get_args

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.block_relevance import (
    below_attention,
    relevance_at_top,
    through_mlp,
    to_attention,
)
from seethrough.attribution.class_token_chain import class_token_row
from seethrough.attribution.forward_record import ForwardRecord, record_forward
from seethrough.attribution.plain_transformer import patch_grid
from seethrough.attribution.relevance_rules import LayerScaleRule
from seethrough.attribution.targets import chosen_targets, of_targets


def transformer_attribution(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
    start_block: int = 0,
    layer_scale_rule: LayerScaleRule = "identity",
) -> Float[Tensor, "B h w"]:
    """Return how much each patch speaks for the target class, 0 or more, in no unit.

    Targets left out are the predicted classes. Blocks below `start_block` are not read (0 in the
    published notebooks, 1 behind the published perturbation tests). See `layer_scale_relevance` for
    the rules; they agree for a model without LayerScale.

    Use float32 or float64: relevance is divided by activations, so it is less exact than they are.
    One forward pass, one backward pass through activations only, and four matrix products for each
    linear layer.

    Raises:
        ValueError: a model that is not plain, images of another size, a block, target or rule that
            is not there, or a map that is not finite (NaN in an image, out of the dtype's range).
    """
    rules = get_args(LayerScaleRule)
    if layer_scale_rule not in rules:
        raise ValueError(f"layer_scale_rule is {layer_scale_rule!r}, allowed is one of {rules}")
    record = record_forward(model, images, start_block)
    chosen = chosen_targets(record.logits, targets)
    with torch.enable_grad():  # the caller may have switched gradients off
        score = of_targets(record.logits, chosen).sum()
    gradients = torch.autograd.grad(score, [block.attention for block in record.blocks])
    with torch.no_grad():
        vit: Any = model
        relevances = _attention_relevances(vit.head, record, chosen, layer_scale_rule)
        row = class_token_row(
            (gradient * relevance).relu_().mean(dim=1)
            for gradient, relevance in zip(reversed(gradients), relevances, strict=True)
        )
    _require_finite(row)
    return row[:, 1:].reshape(-1, *patch_grid(model))


def _attention_relevances(
    head: nn.Linear, record: ForwardRecord, targets: Int64[Tensor, " B"], rule: LayerScaleRule
) -> Iterator[Float[Tensor, "B H T T"]]:
    """Yield the relevance of attention in every recorded block, last block first."""
    relevance = relevance_at_top(head, record, targets)
    for block in reversed(record.blocks):  # each block needs the relevance of the one above it
        half_way = to_attention(through_mlp(relevance, block, rule), block, rule)
        yield half_way.attention
        if block is not record.blocks[0]:
            relevance = below_attention(half_way, block)


def _require_finite(row: Float[Tensor, "B T"]) -> None:
    n_bad = int((~row.isfinite().all(dim=1)).sum())
    if n_bad:
        raise ValueError(
            f"relevance of {n_bad} of {len(row)} images is not finite in {row.dtype}: these images "
            "hold NaN, or their relevance leaves the dtype's range"
        )
