"""Pruning: scores, masks of kept weights, their use in training and storage."""

from seethrough.pruning.apply_masks import apply_masks, density, mask_density, require_pruned
from seethrough.pruning.column_norms import column_norms
from seethrough.pruning.frozen_masks import FrozenMasks
from seethrough.pruning.magnitude import magnitude_mask
from seethrough.pruning.prunable_layers import (
    SCOPE,
    kept_weights,
    prunable_layers,
    prunable_weights,
)
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.pruning.random_mask import random_mask
from seethrough.pruning.selection import keep_highest
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.sparse_checkpoint import (
    load_sparse_checkpoint,
    read_sparse_checkpoint,
    save_sparse_checkpoint,
)
from seethrough.pruning.wanda import wanda_mask, wanda_scores

__all__ = [
    "SCOPE",
    "FrozenMasks",
    "PruningConfig",
    "apply_masks",
    "column_norms",
    "density",
    "keep_highest",
    "kept_weights",
    "load_sparse_checkpoint",
    "magnitude_mask",
    "mask_density",
    "prunable_layers",
    "prunable_weights",
    "prune_masks",
    "random_mask",
    "read_sparse_checkpoint",
    "require_pruned",
    "save_sparse_checkpoint",
    "semi_structured_mask",
    "wanda_mask",
    "wanda_scores",
]
