"""Attribution: which parts of an image speak for its class, and whether the model agrees."""

from seethrough.attribution.attention_rollout import attention_rollout, rollout_row
from seethrough.attribution.conservation_error import ConservationError, conservation_error
from seethrough.attribution.gaussian_blur import gaussian_blur
from seethrough.attribution.gradient_times_input import gradient_times_input
from seethrough.attribution.insertion_deletion import (
    InsertionDeletion,
    Reference,
    Unit,
    insertion_deletion,
)
from seethrough.attribution.integrated_gradients import integrated_gradients
from seethrough.attribution.map_sizes import to_patches, to_pixels
from seethrough.attribution.random_order import random_order
from seethrough.attribution.raw_attention import raw_attention
from seethrough.attribution.relevance_on_object import RelevanceOnObject, relevance_on_object
from seethrough.attribution.relevance_rules import LayerScaleRule
from seethrough.attribution.transformer_attribution import transformer_attribution

__all__ = [
    "ConservationError",
    "InsertionDeletion",
    "LayerScaleRule",
    "Reference",
    "RelevanceOnObject",
    "Unit",
    "attention_rollout",
    "conservation_error",
    "gaussian_blur",
    "gradient_times_input",
    "insertion_deletion",
    "integrated_gradients",
    "random_order",
    "raw_attention",
    "relevance_on_object",
    "rollout_row",
    "to_patches",
    "to_pixels",
    "transformer_attribution",
]
