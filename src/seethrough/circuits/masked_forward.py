"""The forward pass of a plain vision transformer under many masks at once, written out.

At each site a gate m of 0 to 1 per node sets x <- m x + (1 - m) mean, with the site's own mean. A
norm or LayerScale before it joins in: with its weight g and bias b (0 for LayerScale) the channel
becomes x m g + (m b + (1 - m) mean), one scale and one shift. There are no hooks, weights take no
part in the graph, and attention is torch's fused one. From its queries on, the last block is
computed on the class token alone: the head reads no other, so the logits are the same.

Symbols: B images, T tokens, the class token first, D model width, C classes.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from
from seethrough.circuits.mask_sites import NodeLayout
from seethrough.neurons.sites import frozen


def masked_logits(
    model: nn.Module,
    images: Float[Tensor, "groups B 3 H W"],
    gates: Float[Tensor, "masks nodes"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
) -> Float[Tensor, "masks B C"]:
    """Return the logits under every mask, with a graph that leads to gates and means alone.

    Every group of images is read by equally many masks, the first group by the first masks: one
    group is shared by all masks, as many groups as masks give each its own. With all gates 1 the
    logits are the model's own in evaluation mode, up to rounding. Means are cast to the gates'
    precision, which must be the model's.

    Raises:
        ValueError: a number of masks that is no multiple of the number of groups; gates, means or
            a model that do not fit the layout.
    """
    blocks = blocks_from(model, 0)
    sites = _scales_and_shifts(blocks, gates, means, layout)
    n_groups, n_masks = len(images), len(gates)
    if not n_groups or n_masks % n_groups:
        raise ValueError(f"{n_masks} masks cannot share {n_groups} groups of images evenly")
    with frozen(model):
        tokens = _embedded(model, images.flatten(0, 1))  # (groups * B, T, D)
        tokens = torch.unflatten(tokens, 0, images.shape[:2])
        tokens = tokens.repeat_interleave(n_masks // n_groups, dim=0)  # (masks, B, T, D)
        for block in blocks:
            tokens = _block(block, tokens, sites, class_token_alone=block is blocks[-1])
        return _head(model, tokens)


def _block(
    block: Any,
    tokens: Float[Tensor, "masks B T D"],
    sites: Iterator[tuple[Tensor, Tensor]],
    class_token_alone: bool,
) -> Float[Tensor, "masks B _ D"]:
    """Return what a block makes of the tokens, of the class token alone if so wanted."""
    attention, mlp = block.attn, block.mlp
    read = _at_site(_normalised(block.norm1, tokens), sites)
    mixed = _attention(attention, _at_site(attention.qkv(read), sites), class_token_alone)
    if class_token_alone:
        tokens = tokens[:, :, :1]
    tokens = tokens + _at_site(attention.proj(mixed), sites)
    read = _at_site(_normalised(block.norm2, tokens), sites)
    hidden = _at_site(mlp.act(mlp.fc1(read)), sites)
    return tokens + _at_site(mlp.fc2(hidden), sites)


def _at_site(
    activations: Float[Tensor, "masks B T width"], sites: Iterator[tuple[Tensor, Tensor]]
) -> Float[Tensor, "masks B T width"]:
    """Return the activations scaled and shifted as the next site wants."""
    scale, shift = next(sites)
    return (activations * scale[:, None, None]).add_(shift[:, None, None])


def _normalised(norm: Any, tokens: Float[Tensor, "masks B T D"]) -> Float[Tensor, "masks B T D"]:
    return F.layer_norm(tokens, norm.normalized_shape, eps=norm.eps)


def _attention(
    attention: Any, qkv: Float[Tensor, "masks B T _"], class_token_alone: bool
) -> Float[Tensor, "masks B _ _"]:
    """Return the values mixed by attention, all heads side by side, before the projection."""
    n_masks, n_images, n_tokens, _ = qkv.shape
    heads = qkv.view(n_masks * n_images, n_tokens, 3, attention.num_heads, -1)
    queries, keys, values = heads.permute(2, 0, 3, 1, 4).unbind()  # (masks * B, H, T, d)
    if class_token_alone:
        queries = queries[:, :, :1]
    mixed = F.scaled_dot_product_attention(queries, keys, values)
    # Head by head side by side; one token is left where only the class token asks.
    return mixed.transpose(1, 2).reshape(n_masks, n_images, queries.shape[2], -1)


def _scales_and_shifts(
    blocks: Sequence[Any],
    gates: Float[Tensor, "masks nodes"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Return the scale and the shift of every site in turn, (masks, width) each."""
    weights, biases = zip(*(pair for block in blocks for pair in _affine(block)), strict=True)
    weight, bias = torch.cat(weights), torch.cat(biases)
    expected = (layout.n_nodes, layout.n_channels, layout.n_channels)
    if (gates.shape[1], len(means), len(weight)) != expected:
        raise ValueError(
            f"gates have {gates.shape[1]} nodes, means {len(means)} channels and the model "
            f"{len(weight)}; allowed is {expected[0]} nodes and {expected[1]} channels"
        )
    opened = layout.channels(gates)  # (masks, channels)
    scale, shift = opened * weight, opened * bias + (1 - opened) * means.to(gates)
    # q, k and v are one layer's output: their channels stay together.
    widths = [len(part) for part in weights]
    parts = (torch.split(row, widths, dim=-1) for row in (scale, shift))
    return zip(*parts, strict=True)


def _affine(block: Any) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield weight and bias that precede the gates at norm1, qkv, attn_out, norm2, mlp_act, out."""
    d_model, d_mlp = block.attn.proj.out_features, block.mlp.fc1.out_features
    yield block.norm1.weight.detach(), block.norm1.bias.detach()
    yield _unit(block, block.attn.qkv.out_features)
    yield _layer_scale(block, block.ls1, d_model)
    yield block.norm2.weight.detach(), block.norm2.bias.detach()
    yield _unit(block, d_mlp)
    yield _layer_scale(block, block.ls2, d_model)


def _layer_scale(block: Any, module: Any, width: int) -> tuple[Tensor, Tensor]:
    """Return LayerScale's weight and no bias; without LayerScale, ones."""
    ones, zeros = _unit(block, width)
    return (module.gamma.detach() if hasattr(module, "gamma") else ones), zeros


def _unit(block: Any, width: int) -> tuple[Tensor, Tensor]:
    """Return ones and zeros of the model's precision, on its device."""
    like = block.norm1.weight
    return like.new_ones(width), like.new_zeros(width)


def _embedded(model: Any, images: Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B T D"]:
    """Return what enters the first block."""
    tokens = model._pos_embed(model.patch_embed(images))
    embedded: Tensor = model.norm_pre(model.patch_drop(tokens))
    return embedded


def _head(model: Any, tokens: Float[Tensor, "masks B _ D"]) -> Float[Tensor, "masks B C"]:
    """Return the logits of the class token."""
    logits: Tensor = model.head(model.fc_norm(model.norm(tokens[:, :, 0])))
    return logits
