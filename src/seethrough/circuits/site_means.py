"""The mean activation of every channel at the sites of circuits: what a masked node becomes."""

from contextlib import ExitStack

import torch
from jaxtyping import Float, Float64
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from
from seethrough.neurons.sites import Batches, frozen

MODULES = ("norm1", "attn.qkv", "ls1", "norm2", "mlp.act", "ls2")
"""Modules of a block whose outputs are the eight sites, q, k and v side by side."""


@torch.no_grad()
def site_means(model: nn.Module, batches: Batches) -> Float64[Tensor, " channels"]:
    """Return the mean over images and tokens, the class token among them, of every channel.

    Channels stand as in `NodeLayout`. Each image's mean over tokens is taken in the model's
    precision, the mean over images in float64. The model runs in evaluation mode and is left as it
    was; NaN among the activations of a channel makes its mean NaN, which `masked_logits` passes on.

    Raises:
        ValueError: no images, or a model that is not plain.
    """
    blocks = blocks_from(model, 0)
    of_batch: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Float[Tensor, "B T width"]) -> None:
        of_batch.append(output.mean(dim=1).double().sum(dim=0))

    total, n_images = torch.zeros(()), 0
    with ExitStack() as stack:
        stack.enter_context(frozen(model))
        # Hooks of modules in the order of the data append in the order of the channels.
        for block in blocks:
            for name in MODULES:
                hook = block.get_submodule(name).register_forward_hook(keep)
                stack.callback(hook.remove)
        for images, _ in batches:
            of_batch.clear()
            model(images)
            total = total.to(images.device) + torch.cat(of_batch)
            n_images += len(images)
    if not n_images:
        raise ValueError("means need at least one image, got none")
    return total / n_images
