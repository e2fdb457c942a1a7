"""Where a sparse autoencoder reads a vision transformer: the residual stream after a block.

The stream after block b is what block b + 1 reads, or the final norm after the last block: tensors
of shape (B, T, D), images, tokens with the class token first, and the model's width. An autoencoder
takes the class token, one vector per image, or the patches, T - 1 per image. The models are timm's
plain vision transformers.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from

TOKENS = ("class", "patches")


@dataclass(frozen=True, slots=True, kw_only=True)
class ResidualSite:
    """Some tokens of the residual stream after one block."""

    block: int
    """Block, counted from 0."""
    tokens: str = "class"
    """class for the class token, patches for all others."""

    def __post_init__(self) -> None:
        if self.tokens not in TOKENS:
            raise ValueError(f"tokens is {self.tokens!r}, allowed are {', '.join(TOKENS)}")

    @property
    def name(self) -> str:
        """Return the name of the site in tables, "blocks.5.class"."""
        return f"blocks.{self.block}.{self.tokens}"

    def read(self, stream: Float[Tensor, "B T D"]) -> Float[Tensor, "B t D"]:
        """Return the site's tokens, a view of the stream."""
        return stream[:, :1] if self.tokens == "class" else stream[:, 1:]

    def write(
        self, stream: Float[Tensor, "B T D"], vectors: Float[Tensor, "B t D"]
    ) -> Float[Tensor, "B T D"]:
        """Return the stream with the site's tokens replaced; the one given stays as it is."""
        vectors = vectors.to(stream.dtype)
        if self.tokens == "class":
            return torch.cat([vectors, stream[:, 1:]], dim=1)
        return torch.cat([stream[:, :1], vectors], dim=1)


def last_block_site(model: nn.Module, tokens: str = "class") -> ResidualSite:
    """Return the site after the last block of a plain vision transformer."""
    return ResidualSite(block=len(blocks_from(model, 0)) - 1, tokens=tokens)


def stream_after_block(
    model: nn.Module, images: Float[Tensor, "B 3 H W"], block: int
) -> Float[Tensor, "B T D"]:
    """Return the residual stream after a block; later blocks are not computed.

    The same operations as in the model's own forward pass, so the same numbers.

    Raises:
        ValueError: the model is not plain, or has no such block.
    """
    blocks = blocks_from(model, 0)
    if not 0 <= block < len(blocks):
        raise ValueError(f"block is {block}, allowed is 0 to {len(blocks) - 1}")
    transformer: Any = model
    stream: Tensor = transformer.norm_pre(transformer._pos_embed(transformer.patch_embed(images)))
    for module in blocks[: block + 1]:
        stream = module(stream)
    return stream
