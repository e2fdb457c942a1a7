"""Which models attribution knows: timm's plain vision transformer, and what it is made of.

Pre-norm blocks, fused qkv, LayerScale or none, one class token in front of the patches, read by a
linear head. `timm.models.vision_transformer.VisionTransformer` builds others too; those are refused
by name of the part rather than explained wrongly.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn


def blocks_from(model: nn.Module, start_block: int) -> list[Any]:
    """Return the blocks of a plain vision transformer from `start_block` to the last.

    Raises:
        ValueError: the model is not plain (the odd parts are named), or has no such block.
    """
    vit: Any = model
    try:
        odd = _odd_parts(vit)
    except AttributeError as error:
        raise ValueError(
            f"the model is a {type(model).__name__}, allowed is timm's VisionTransformer: {error}"
        ) from error
    if odd:
        raise ValueError(f"the model has {', '.join(odd)}; allowed is a plain VisionTransformer")
    if not 0 <= start_block < len(vit.blocks):
        raise ValueError(
            f"start_block is {start_block}, allowed is 0 to {len(vit.blocks) - 1}, the last block"
        )
    return list(vit.blocks[start_block:])


def patch_grid(model: nn.Module) -> tuple[int, int]:
    """Return (h, w), the rows and columns of patches of a plain vision transformer."""
    vit: Any = model
    rows, columns = vit.patch_embed.grid_size
    return int(rows), int(columns)


def require_images(model: nn.Module, images: Float[Tensor, "B 3 H W"]) -> None:
    """Raise ValueError unless there are images, of the size a plain vision transformer takes."""
    vit: Any = model
    size = tuple(vit.patch_embed.img_size)
    if len(images) == 0 or tuple(images.shape[2:]) != size:
        raise ValueError(
            f"images have shape {tuple(images.shape)}, allowed is (B, 3, {size[0]}, {size[1]}) "
            "with B at least 1"
        )


def _odd_parts(vit: Any) -> list[str]:
    first = vit.blocks[0]
    must_be_identity = {
        "a norm between pooling and head": vit.fc_norm,
        "patch dropout": vit.patch_drop,
        "normalised queries and keys": first.attn.q_norm,
        "a norm after attention": first.attn.norm,
        "a norm inside the MLP": first.mlp.norm,
    }
    odd = [name for name, part in must_be_identity.items() if not isinstance(part, nn.Identity)]
    if first.attn.gate is not None:
        odd.append("gated attention")
    if vit.global_pool != "token" or vit.attn_pool is not None:
        odd.append("a head that does not read the class token")
    if vit.cls_token is None or vit.num_prefix_tokens != 1:
        odd.append("not exactly one class token before the patches")
    if not isinstance(vit.head, nn.Linear):
        odd.append("a head that is not one linear layer")
    if vit.grad_checkpointing:
        odd.append("gradient checkpointing switched on")
    return odd
