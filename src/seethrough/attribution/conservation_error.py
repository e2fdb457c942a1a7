"""How much relevance each block of a vision transformer creates or loses, for both rules."""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.block_relevance import (
    below_attention,
    relevance_at_top,
    through_mlp,
    to_attention,
)
from seethrough.attribution.forward_record import ForwardRecord, record_forward
from seethrough.attribution.relevance_rules import LayerScaleRule
from seethrough.attribution.targets import chosen_targets


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConservationError:
    """Relevance that leaves a block at its input over what enters at its output, minus 1."""

    identity: Float[Tensor, "B L"]
    """With LayerScale handed through; 0 is conserved, -1 all lost."""
    inverse_gamma: Float[Tensor, "B L"]
    """With LayerScale divided by gamma; 9 is ten times as much out as in."""


def conservation_error(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
) -> ConservationError:
    """Return the conservation error of every image in every block, first block first.

    Sums are signed and run over an image's tokens and channels. Under "identity" a block conserves
    relevance but for rounding and for outputs of linear layers without any positive contribution.
    Under "inverse_gamma" the error compounds from block to block; it is NaN once nothing enters or
    the range of the dtype is left. Targets left out are the predicted classes.

    Raises:
        ValueError: a model that is not plain, images of another size, a target that is not there.
    """
    record = record_forward(model, images, start_block=0)
    vit: Any = model
    with torch.no_grad():
        chosen = chosen_targets(record.logits, targets)
        return ConservationError(
            identity=_errors(vit.head, record, chosen, "identity"),
            inverse_gamma=_errors(vit.head, record, chosen, "inverse_gamma"),
        )


def _errors(
    head: nn.Linear, record: ForwardRecord, targets: Int64[Tensor, " B"], rule: LayerScaleRule
) -> Float[Tensor, "B L"]:
    relevance = relevance_at_top(head, record, targets)
    sums = [relevance.sum(dim=(1, 2))]
    for block in reversed(record.blocks):  # each block needs the relevance of the one above it
        half_way = to_attention(through_mlp(relevance, block, rule), block, rule)
        relevance = below_attention(half_way, block)
        sums.append(relevance.sum(dim=(1, 2)))
    upwards = torch.stack(sums[::-1], dim=1)  # (B, L + 1), at the input of block 0 first
    return upwards[:, :-1] / upwards[:, 1:] - 1
