"""What a vision transformer computes on the way to its logits, kept for attribution.

The model's own modules run, and forward hooks keep what passes; nothing of the model is rebuilt
here. The hooks are gone when a function returns, also after an exception.

Symbols: B images, T tokens, the class token first, D model width, H heads, C classes.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.attribution.model_state import evaluating, frozen_parameters, visible_attention
from seethrough.attribution.plain_transformer import blocks_from, require_images


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlockRecord:
    """The activations of one block; all but `attention` are without history."""

    block: Any
    """The block itself, for its weights."""
    inputs: Float[Tensor, "B T D"]
    """What enters the block."""
    attention_inputs: Float[Tensor, "B T D"]
    """After the first norm."""
    qkv: Float[Tensor, "B T _"]
    """Queries, keys and values of all heads, side by side: 3 D."""
    attention: Float[Tensor, "B H T T"]
    """Attention probabilities, part of the graph that leads to the logits."""
    mixed: Float[Tensor, "B T D"]
    """Values mixed by attention, before the projection."""
    attention_branch: Float[Tensor, "B T D"]
    """What attention adds to the block's inputs, after LayerScale."""
    middle: Float[Tensor, "B T D"]
    """Between the two halves of the block."""
    mlp_inputs: Float[Tensor, "B T D"]
    """After the second norm."""
    hidden: Float[Tensor, "B T _"]
    """After the activation of the MLP."""
    mlp_branch: Float[Tensor, "B T D"]
    """What the MLP adds, after LayerScale."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForwardRecord:
    """A forward pass: its logits, what the head read, and its blocks from the start block on."""

    logits: Float[Tensor, "B C"]
    """Logits, part of the graph."""
    head_inputs: Float[Tensor, "B D"]
    """Class token after the last norm, without history."""
    blocks: list[BlockRecord]
    """One record for each block from the start block to the last."""


def record_forward(
    model: nn.Module, images: Float[Tensor, "B 3 H W"], start_block: int
) -> ForwardRecord:
    """Return the record of a forward pass; its graph begins at the attention of `start_block`.

    Parameters and images take no part in the graph, so a gradient costs activations only. Memory:
    about 11 B T D + 2 B H T^2 numbers per block.

    Raises:
        ValueError: what `blocks_from` and `require_images` refuse.
    """
    blocks = blocks_from(model, start_block)
    require_images(model, images)
    kept: list[dict[str, Tensor]] = [{} for _ in blocks]
    head_kept: dict[str, Tensor] = {}
    vit: Any = model
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(frozen_parameters(model))
        stack.enter_context(visible_attention(blocks))
        stack.enter_context(torch.enable_grad())
        for block, activations in zip(blocks, kept, strict=True):
            stack.enter_context(_keeping_block(block, activations))
        stack.enter_context(_keeping(vit.head, head_kept, "inputs", None))
        logits = model(images.detach())
    records = [
        BlockRecord(block=block, **activations)
        for block, activations in zip(blocks, kept, strict=True)
    ]
    return ForwardRecord(logits=logits, head_inputs=head_kept["inputs"], blocks=records)


def mean_attention(
    model: nn.Module, images: Float[Tensor, "B 3 H W"], start_block: int
) -> tuple[Float[Tensor, "B C"], list[Float[Tensor, "B T T"]]]:
    """Return logits, and attention averaged over heads for each block from `start_block` on.

    Raises:
        ValueError: what `blocks_from` and `require_images` refuse.
    """
    blocks = blocks_from(model, start_block)
    require_images(model, images)
    means: list[Tensor] = []
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        stack.enter_context(visible_attention(blocks))
        stack.enter_context(torch.no_grad())
        for block in blocks:
            handle = block.attn.attn_drop.register_forward_hook(
                lambda _, __, attention: means.append(attention.mean(dim=1))
            )
            stack.callback(handle.remove)
        logits = model(images)
    return logits, means


@contextmanager
def _keeping_block(block: Any, kept: dict[str, Tensor]) -> Iterator[None]:
    """Fill `kept` with the fields of a `BlockRecord` when the block runs."""

    def keep_attention(_: nn.Module, __: Any, attention: Tensor) -> None:
        if not attention.requires_grad:  # the start block: the graph begins here
            attention.requires_grad_(True)
        kept["attention"] = attention

    with ExitStack() as stack:
        for module, of_input, of_output in (
            (block.norm1, "inputs", "attention_inputs"),
            (block.attn.qkv, None, "qkv"),
            (block.attn.proj, "mixed", None),
            (block.drop_path1, None, "attention_branch"),
            (block.norm2, "middle", "mlp_inputs"),
            (block.mlp.fc2, "hidden", None),
            (block.drop_path2, None, "mlp_branch"),
        ):
            stack.enter_context(_keeping(module, kept, of_input, of_output))
        handle = block.attn.attn_drop.register_forward_hook(keep_attention)
        stack.callback(handle.remove)
        yield


@contextmanager
def _keeping(
    module: nn.Module, kept: dict[str, Tensor], of_input: str | None, of_output: str | None
) -> Iterator[None]:
    """Keep the module's input and output under these names, without history, when it runs."""

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if of_input is not None:
            kept[of_input] = inputs[0].detach()
        if of_output is not None:
            kept[of_output] = output.detach()

    handle = module.register_forward_hook(keep)
    try:
        yield
    finally:
        handle.remove()
