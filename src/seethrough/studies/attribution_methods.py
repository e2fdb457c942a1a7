"""The ways to rank patches that the study of attribution compares."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.attention_rollout import attention_rollout
from seethrough.attribution.gradient_times_input import gradient_times_input
from seethrough.attribution.integrated_gradients import integrated_gradients
from seethrough.attribution.map_sizes import to_patches
from seethrough.attribution.plain_transformer import patch_grid
from seethrough.attribution.random_order import random_order
from seethrough.attribution.raw_attention import raw_attention
from seethrough.attribution.transformer_attribution import transformer_attribution
from seethrough.training.initialise import generator_for

Attribution = Callable[[nn.Module, Tensor, Int64[Tensor, " B"]], Float[Tensor, "B h w"]]
METHODS = {
    "transformer": "transformer attribution",
    "transformer_inverse_gamma": "transformer attribution, relevance divided by LayerScale",
    "rollout": "attention rollout",
    "raw_attention": "raw attention of the last block",
    "gradient_times_input": "gradient times input",
    "integrated_gradients": "integrated gradients",
    "random": "random order",
}
"""Ways to rank the patches, in words."""


def maps_of(
    method: str,
    model: nn.Module,
    images: Float[Tensor, "N 3 H W"],
    targets: Int64[Tensor, " N"],
    *,
    start_block: int,
    n_gradient_steps: int,
    batch_size: int,
    seed: int,
) -> Float[Tensor, "N h w"]:
    """Return the maps of one method by patch, a batch at a time; pixels' maps are summed.

    `seed` decides the random order alone. `start_block` is the first block that transformer
    attribution and rollout read, `n_gradient_steps` the points of integrated gradients.
    """
    ways: dict[str, Attribution] = {
        "transformer": partial(transformer_attribution, start_block=start_block),
        "transformer_inverse_gamma": partial(
            transformer_attribution, start_block=start_block, layer_scale_rule="inverse_gamma"
        ),
        "rollout": partial(attention_rollout, start_block=start_block),
        "raw_attention": raw_attention,
        "gradient_times_input": gradient_times_input,
        "integrated_gradients": partial(integrated_gradients, n_steps=n_gradient_steps),
        "random": partial(random_order, generator=generator_for(seed, "random order")),
    }
    grid = patch_grid(model)
    parts = [
        ways[method](model, images[first : first + batch_size], targets[first : first + batch_size])
        for first in range(0, len(images), batch_size)
    ]
    maps = torch.cat(parts)
    return maps if tuple(maps.shape[1:]) == grid else to_patches(maps, grid)
