"""The second half of a forward pass: from the input of a block to the logits.

Replacing units of block b leaves everything before that block as it was, so its input is computed
once and kept.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


@contextmanager
def block_inputs(
    model: nn.Module, blocks: Iterable[int]
) -> Iterator[dict[int, Float[Tensor, "B T D"]]]:
    """Yield a dictionary that holds the inputs of these blocks in the last forward pass inside.

    The hooks are removed on leaving, also after an exception.
    """
    inputs: dict[int, Tensor] = {}

    def attach(block: int, stack: ExitStack) -> None:
        def keep(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            inputs[block] = arguments[0]

        module = model.get_submodule(f"blocks.{block}")
        stack.callback(module.register_forward_pre_hook(keep).remove)

    with ExitStack() as stack:
        for block in blocks:
            attach(block, stack)
        yield inputs


def forward_from_block(
    model: nn.Module, tokens: Float[Tensor, "B T D"], block: int
) -> Float[Tensor, "B C"]:
    """Return the logits, given the input of a block of a timm vision transformer.

    The same operations as in the model's own forward pass, so the same numbers.
    """
    transformer: Any = model
    for module in transformer.blocks[block:]:
        tokens = module(tokens)
    logits: Tensor = transformer.forward_head(transformer.norm(tokens))
    return logits
