"""L2 norms of the input features of linear layers over a calibration set, streamed.

Activations are squared and added up where they arrive and never stored. Blocks of tokens are summed
in float32 and the blocks in float64: over 1.28 million images of 197 tokens a plain float32 sum
would stand still long before the end.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from seethrough.pruning.prunable_layers import block_number

# Activations squared at once on a CPU, 1 MB in float32: the squares stay in cache.
BLOCK_ELEMENTS_CPU = 1 << 18
BLOCK_ELEMENTS_DEVICE = 1 << 28


class RunningSquares:
    """Sum of squares of each feature over all tokens seen so far."""

    def __init__(self, n_features: int, device: torch.device) -> None:
        """Start with no tokens."""
        self.n_tokens = 0
        self._sum = torch.zeros(n_features, dtype=torch.float64, device=device)

    def add(self, activations: Float[Tensor, "... d"]) -> None:
        """Add tokens; nothing moves off their device."""
        tokens = activations.detach().flatten(0, -2)
        self.n_tokens += len(tokens)
        on_cpu = tokens.device.type == "cpu"
        elements = BLOCK_ELEMENTS_CPU if on_cpu else BLOCK_ELEMENTS_DEVICE
        # A loop over blocks of tokens bounds the memory of the squares.
        for block in torch.split(tokens, max(1, elements // tokens.shape[1])):
            self._sum += block.float().square().sum(dim=0)

    def norm(self) -> Float32[Tensor, " d"]:
        """Return the square root of the sums."""
        return self._sum.sqrt().float()


def column_norms(
    model: nn.Module,
    batches: Iterable[Float[Tensor, "_ channels H W"]],
    layers: Mapping[str, nn.Linear],
) -> dict[str, Float32[Tensor, " _"]]:
    """Return ||X_j||_2 of each layer's input features j over all tokens of all images, by name.

    `model` is a timm VisionTransformer in evaluation mode; `layers` come from `prunable_layers`.
    One pass measures all of them, and ends after the last block that holds one. A feature that is
    never active has norm 0. Costs a few adds per activation on top of the forward pass.

    Raises ValueError for a model in training mode, no layers, no images, or inputs of a layer
    that hold NaN or an infinity.
    """
    if model.training:
        raise ValueError("the model is in training mode, allowed is evaluation mode: model.eval()")
    if not layers:
        raise ValueError("no layers to measure, allowed is at least one")
    squares = {
        name: RunningSquares(layer.in_features, layer.weight.device)
        for name, layer in layers.items()
    }
    last = max(block_number(name) for name in layers)
    with observed_inputs({layers[name]: squares[name].add for name in layers}), torch.no_grad():
        for images in batches:
            run_blocks(model, images, last)
    if not all(running.n_tokens for running in squares.values()):
        raise ValueError("no images to measure, allowed is at least one")
    norms = {name: running.norm() for name, running in squares.items()}
    _require_finite(norms)
    return norms


def run_blocks(model: nn.Module, images: Float[Tensor, "_ channels H W"], last: int) -> None:
    """Run the model on the images, up to and including block `last`."""
    cast(Any, model).forward_intermediates(
        images, indices=[last], stop_early=True, output_fmt="NLC", intermediates_only=True
    )


@contextmanager
def observed_inputs(
    observers: Mapping[nn.Linear, Callable[[Float[Tensor, "... d"]], None]],
) -> Iterator[None]:
    """Inside the block, show each layer's input to its observer before the layer runs."""
    handles = []
    try:
        for layer, observer in observers.items():
            handles.append(layer.register_forward_pre_hook(_hook(observer)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _hook(observer: Callable[[Tensor], None]) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        observer(inputs[0])

    return hook


def _require_finite(norms: Mapping[str, Float32[Tensor, " _"]]) -> None:
    finite = torch.stack([norm.isfinite().all() for norm in norms.values()])
    wrong = [name for name, good in zip(norms, finite.tolist(), strict=True) if not good]
    if wrong:
        raise ValueError(
            f"inputs must be finite, got NaN, an infinity or an overflow in {len(wrong)} layers, "
            f"first in {wrong[0]}"
        )
