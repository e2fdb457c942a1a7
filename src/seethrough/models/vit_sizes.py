"""Counts of a plain vision transformer: weights, sites, nodes, latents, operations.

Symbols: L blocks, D channels of the residual stream, M channels of the MLP, H heads, T tokens with
the class token, C classes. Everything follows from shapes, so a model on the meta device serves.
"""

from dataclasses import dataclass
from typing import Any

from torch import nn

SITES_PER_BLOCK = 8
"""norm1, q, k, v, attn_out, norm2, mlp_act and mlp_out, where circuits are masked."""
SAE_EXPANSION = 32
"""Latents per channel in the paper's sparse autoencoder."""
OPERATIONS_PER_MULTIPLY_ADD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VitSizes:
    """What the studies count in one vision transformer."""

    parameters: int
    """All trainable numbers."""
    prunable_weights: int
    """Weights of qkv, proj, fc1 and fc2 of all blocks, without biases."""
    circuit_sites: int
    """Places of circuit masks, 8 per block."""
    sae_latents: int
    """Latents of a sparse autoencoder of the residual stream, 32 per channel."""
    nodes_per_channel: int
    """Circuit nodes in all blocks with one mask per channel of q, k and v."""
    nodes_per_head: int
    """Circuit nodes in all blocks with one mask per head of q, k and v."""
    tokens: int
    """T, patches and class token."""
    forward_flops: int
    """Operations of the matrix products for one image, a multiply-add counted as two. Norms,
    softmax, activations and additions, about a hundredth of it, are left out."""


def vit_sizes(model: nn.Module) -> VitSizes:
    """Return the counts of timm's plain vision transformer, on any device.

    The operations are those of the patch embedding, of every block's four linear layers and two
    attention products, and of the head applied to the class token.
    """
    vit: Any = model
    block, patches = vit.blocks[0], vit.patch_embed
    d_model, d_mlp = block.mlp.fc1.in_features, block.mlp.fc1.out_features
    n_tokens = patches.num_patches + 1
    weights = sum(
        layer.weight.numel()
        for b in vit.blocks
        for layer in (b.attn.qkv, b.attn.proj, b.mlp.fc1, b.mlp.fc2)
    )
    # norm1, attn_out, norm2 and mlp_out are D wide, mlp_act is M wide; q, k and v come on top.
    shared = 4 * d_model + d_mlp
    multiply_adds = (
        patches.num_patches * patches.proj.weight.numel()
        + n_tokens * weights
        + len(vit.blocks) * 2 * n_tokens**2 * d_model
        + sum(parameter.numel() for parameter in vit.head.parameters() if parameter.ndim == 2)
    )
    return VitSizes(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        prunable_weights=weights,
        circuit_sites=SITES_PER_BLOCK * len(vit.blocks),
        sae_latents=SAE_EXPANSION * d_model,
        nodes_per_channel=len(vit.blocks) * (shared + 3 * d_model),
        nodes_per_head=len(vit.blocks) * (shared + 3 * block.attn.num_heads),
        tokens=n_tokens,
        forward_flops=OPERATIONS_PER_MULTIPLY_ADD * multiply_adds,
    )
