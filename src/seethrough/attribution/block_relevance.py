"""Layer-wise relevance propagation back through a vision transformer, block by block.

It starts from 1 at the target's logit. `relevance_at_top` takes it to the last block's output,
`through_mlp`, `to_attention` and `below_attention` through a block, from its output to its input:

    output = middle + LayerScale(fc2(GELU(fc1(norm2(middle)))))
    middle = input + LayerScale(proj(A V)),   A = softmax(Q K^T),   Q, K, V = qkv(norm1(input))

Where a tensor feeds two branches its relevance is the sum of theirs.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.forward_record import BlockRecord, ForwardRecord
from seethrough.attribution.relevance_rules import (
    LayerScaleRule,
    layer_scale_relevance,
    linear_relevance,
    product_relevance,
    sum_relevance,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttentionRelevance:
    """Relevance half-way through a block, where the method reads it."""

    attention: Float[Tensor, "B H T T"]
    """Relevance of the attention probabilities."""
    values: Float[Tensor, "B H T d"]
    """Relevance of the values."""
    residual: Float[Tensor, "B T D"]
    """Relevance that passes the attention by."""


def relevance_at_top(
    head: nn.Linear, record: ForwardRecord, targets: Int64[Tensor, " B"]
) -> Float[Tensor, "B T D"]:
    """Return the relevance of the last block's output: all of it on the class token."""
    one_hot = torch.zeros_like(record.logits.detach()).scatter_(1, targets[:, None], 1.0)
    relevance = torch.zeros_like(record.blocks[-1].inputs)
    relevance[:, 0] = linear_relevance(one_hot, record.head_inputs, head.weight.detach())
    return relevance


def through_mlp(
    relevance: Float[Tensor, "B T D"], record: BlockRecord, rule: LayerScaleRule
) -> Float[Tensor, "B T D"]:
    """Return the relevance between the halves of a block from that of its output."""
    mlp = record.block.mlp
    residual, branch = sum_relevance(relevance, record.middle, record.mlp_branch)
    branch = _before_scale(branch, record.block.ls2, rule)
    branch = linear_relevance(branch, record.hidden, mlp.fc2.weight.detach())
    branch = linear_relevance(branch, record.mlp_inputs, mlp.fc1.weight.detach())
    return residual + branch


def to_attention(
    relevance: Float[Tensor, "B T D"], record: BlockRecord, rule: LayerScaleRule
) -> AttentionRelevance:
    """Return the relevance of attention and values from that between the halves of a block."""
    residual, branch = sum_relevance(relevance, record.inputs, record.attention_branch)
    branch = _before_scale(branch, record.block.ls1, rule)
    branch = linear_relevance(branch, record.mixed, record.block.attn.proj.weight.detach())
    branch = _by_head(branch, record)
    _, _, values = _queries_keys_values(record)
    attention, of_values = product_relevance(branch, record.attention.detach(), values)
    return AttentionRelevance(attention=attention, values=of_values, residual=residual)


def below_attention(relevance: AttentionRelevance, record: BlockRecord) -> Float[Tensor, "B T D"]:
    """Return the relevance of a block's input from that of its attention and values."""
    queries, keys, _ = _queries_keys_values(record)
    of_queries, of_keys = product_relevance(relevance.attention, queries, keys.transpose(-2, -1))
    heads = torch.stack([of_queries, of_keys.transpose(-2, -1), relevance.values])
    qkv = heads.permute(1, 3, 0, 2, 4).flatten(2)  # (3, B, H, T, d) -> (B, T, 3 H d)
    weight = record.block.attn.qkv.weight.detach()
    return relevance.residual + linear_relevance(qkv, record.attention_inputs, weight)


def _queries_keys_values(record: BlockRecord) -> list[Float[Tensor, "B H T d"]]:
    return [_by_head(part, record) for part in record.qkv.chunk(3, dim=2)]


def _by_head(tokens: Float[Tensor, "B T D"], record: BlockRecord) -> Float[Tensor, "B H T d"]:
    n_heads = record.attention.shape[1]
    return tokens.reshape(*tokens.shape[:2], n_heads, -1).transpose(1, 2)  # (B, T, H, d) before


def _before_scale(
    relevance: Float[Tensor, "B T D"], scale: nn.Module, rule: LayerScaleRule
) -> Float[Tensor, "B T D"]:
    if isinstance(scale, nn.Identity):
        return relevance
    gamma = scale.get_parameter("gamma").detach()
    return layer_scale_relevance(relevance, gamma, rule)
