"""Attention rollout: how attention carries patches to the class token, block after block."""

from collections.abc import Sequence

from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.class_token_chain import class_token_row
from seethrough.attribution.forward_record import mean_attention
from seethrough.attribution.plain_transformer import patch_grid
from seethrough.attribution.targets import chosen_targets


def attention_rollout(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
    start_block: int = 0,
) -> Float[Tensor, "B h w"]:
    """Return the class token's rollout over the patches, 0 to 1, at most 1 in sum.

    A = (I + mean over heads) / 2 in each block, multiplied over blocks; the class token's row
    ({cite:t}`abnar2020quantifying`). The map is the same for every target: targets are checked, so
    that every method takes the same arguments, and change nothing.

    Raises:
        ValueError: a model that is not plain, images of another size, a block or a target that is
            not there.
    """
    logits, attentions = mean_attention(model, images, start_block)
    chosen_targets(logits, targets)
    return rollout_row(attentions)[:, 1:].reshape(-1, *patch_grid(model))


def rollout_row(attentions: Sequence[Float[Tensor, "B T T"]]) -> Float[Tensor, "B T"]:
    """Return the class token's row of the rollout of attention matrices, first block first.

    Equal to row 0 of the product of all (I + A) / 2, at a T-th of its cost. Rows that sum to 1 give
    a row that sums to 1.

    >>> import torch
    >>> attention = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]])
    >>> rollout_row([attention, attention]).tolist()
    [[0.5625, 0.4375]]
    """
    # The halves are taken out of the chain: T numbers are scaled instead of T x T per block.
    return class_token_row(reversed(attentions)) / 2.0 ** len(attentions)
