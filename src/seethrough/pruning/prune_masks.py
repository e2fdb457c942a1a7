"""Masks of a whole model from one configuration."""

from collections.abc import Iterable, Iterator, Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from seethrough.pruning.apply_masks import apply_masks
from seethrough.pruning.column_norms import column_norms
from seethrough.pruning.prunable_layers import block_number, prunable_layers
from seethrough.pruning.pruning_config import UNSTRUCTURED, PruningConfig
from seethrough.pruning.random_mask import random_scores
from seethrough.pruning.selection import keep_highest
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.wanda import wanda_scores


def prune_masks(
    model: nn.Module,
    batches: Iterable[Float[Tensor, "_ channels H W"]],
    config: PruningConfig,
) -> dict[str, Bool[Tensor, "_ _"]]:
    """Return the mask of kept weights of every layer in the scope; the model is left as it was.

    `batches` are calibration images, read once for dense statistics, once per block for sequential
    ones (which cost about half as many forward passes as there are blocks), and not at all without
    Wanda: then `()` will do.

    Raises ValueError for sequential statistics from an iterator, which can be read once only, and
    whatever `column_norms` raises.
    """
    layers = prunable_layers(model, config.scope)
    if config.method == "random":
        generator = torch.Generator().manual_seed(config.seed)
        return {name: _random(layer, config, generator) for name, layer in layers.items()}
    if config.method == "magnitude":
        return {name: _mask(layer.weight.detach().abs(), config) for name, layer in layers.items()}
    if config.statistics == "dense":
        return _wanda(model, batches, layers, config)
    return _sequential_wanda(model, batches, layers, config)


def _wanda(
    model: nn.Module,
    batches: Iterable[Float[Tensor, "_ channels H W"]],
    layers: Mapping[str, nn.Linear],
    config: PruningConfig,
) -> dict[str, Bool[Tensor, "_ _"]]:
    norms = column_norms(model, batches, layers)
    return {
        name: _mask(wanda_scores(layer.weight, norms[name]), config)
        for name, layer in layers.items()
    }


def _sequential_wanda(
    model: nn.Module,
    batches: Iterable[Float[Tensor, "_ channels H W"]],
    layers: Mapping[str, nn.Linear],
    config: PruningConfig,
) -> dict[str, Bool[Tensor, "_ _"]]:
    """Return the masks when each block is measured behind blocks that are pruned already.

    The layers of one block are measured together, while that block is still dense.
    """
    if isinstance(batches, Iterator):
        raise ValueError(
            "batches are an iterator, allowed for sequential statistics is what can be read once "
            "per block, such as a list"
        )
    dense = {name: layer.weight.detach().clone() for name, layer in layers.items()}
    masks: dict[str, Tensor] = {}
    try:
        # A loop over blocks: each depends on those before.
        for number in sorted({block_number(name) for name in layers}):
            block = {name: layers[name] for name in layers if block_number(name) == number}
            of_block = _wanda(model, batches, block, config)
            apply_masks(model, of_block)
            masks |= of_block
    finally:
        with torch.no_grad():
            for name, layer in layers.items():
                layer.weight.copy_(dense[name])
    return masks


def _random(
    layer: nn.Linear, config: PruningConfig, generator: torch.Generator
) -> Bool[Tensor, "_ _"]:
    # Drawn on the CPU, so that every device gets the same masks.
    scores = random_scores((layer.out_features, layer.in_features), generator)
    return _mask(scores, config).to(layer.weight.device)


def _mask(scores: Float[Tensor, "out in"], config: PruningConfig) -> Bool[Tensor, "out in"]:
    if config.structure == UNSTRUCTURED:
        return keep_highest(scores, config.sparsity, config.group)
    return semi_structured_mask(scores, config.structure)
