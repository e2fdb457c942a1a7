"""States a model is put into for attribution, each undone afterwards, also after an exception."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode, and every module back into its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


@contextmanager
def frozen_parameters(model: nn.Module) -> Iterator[None]:
    """Keep the parameters out of new graphs, which then cost activations only."""
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    for parameter, _ in flags:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def visible_attention(blocks: Sequence[Any]) -> Iterator[None]:
    """Have blocks compute their attention probabilities as a tensor, not inside a fused kernel."""
    flags = [(block.attn, block.attn.fused_attn) for block in blocks]
    for attention, _ in flags:
        attention.fused_attn = False
    try:
        yield
    finally:
        for attention, flag in flags:
            attention.fused_attn = flag
