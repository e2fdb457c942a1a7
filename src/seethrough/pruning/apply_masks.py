"""Masks put on a model, and whether they hold."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from seethrough.pruning.prunable_layers import SCOPE, prunable_layers


def apply_masks(model: nn.Module, masks: Mapping[str, Bool[Tensor, "_ _"]]) -> None:
    """Set every weight that its mask does not keep to zero, in place.

    Raises ValueError for a mask that fits no linear layer of the model.
    """
    weights = masked_weights(model, masks)
    with torch.no_grad():
        for name, weight in weights.items():
            weight.masked_fill_(~masks[name].to(weight.device), 0.0)


def masked_weights(model: nn.Module, masks: Mapping[str, Bool[Tensor, "_ _"]]) -> dict[str, Tensor]:
    """Return the weight that each mask belongs to.

    Raises ValueError for a name that is no linear layer of the model, or another shape.
    """
    linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    unknown = [name for name in masks if name not in linear]
    if unknown:
        raise ValueError(
            f"{len(unknown)} masks belong to no linear layer of the model, first {unknown[0]!r}"
        )
    for name, mask in masks.items():
        if mask.shape != linear[name].weight.shape:
            raise ValueError(
                f"the mask of {name} has shape {tuple(mask.shape)}, allowed is its weight's, "
                f"{tuple(linear[name].weight.shape)}"
            )
    return {name: linear[name].weight for name in masks}


def require_pruned(model: nn.Module, masks: Mapping[str, Bool[Tensor, "_ _"]]) -> None:
    """Raise ValueError unless every weight that its mask does not keep is exactly zero."""
    weights = masked_weights(model, masks)
    if not weights:
        return
    alive = [
        (weight.detach() != 0).logical_and_(~masks[name].to(weight.device)).count_nonzero()
        for name, weight in weights.items()
    ]
    # NaN is not 0, so it counts as alive.
    counts = dict(zip(weights, torch.stack(alive).tolist(), strict=True))
    wrong = {name: count for name, count in counts.items() if count}
    if wrong:
        name, count = next(iter(wrong.items()))
        raise ValueError(
            f"pruned weights must be zero, got {count} others in {name} and "
            f"{sum(wrong.values())} in {len(wrong)} layers"
        )


def density(model: nn.Module, scope: Sequence[str] = SCOPE) -> float:
    """Return the fraction of prunable weights that are not zero, 0 to 1."""
    weights = [layer.weight.detach() for layer in prunable_layers(model, scope).values()]
    kept = torch.stack([weight.count_nonzero() for weight in weights]).sum()
    return int(kept) / sum(weight.numel() for weight in weights)


def mask_density(masks: Mapping[str, Bool[Tensor, "_ _"]]) -> float:
    """Return the fraction of weights that the masks keep, 0 to 1; of no masks, 1."""
    if not masks:
        return 1.0
    kept = torch.stack([mask.count_nonzero() for mask in masks.values()]).sum()
    return int(kept) / sum(mask.numel() for mask in masks.values())
