"""What kind of vision transformer the studies read, and which of timm's are of that kind."""

from typing import Any

import torch

from seethrough.models import torchvision_compatibility  # noqa: F401

# isort: split
import timm
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn

PLAIN = (
    "timm's VisionTransformer with a class token and no other one before the patches, fused qkv "
    "with bias, a two-layer MLP, blocks one after the other, and the class token alone read by a "
    "linear head, such as deit3_*, deit_* and most of vit_*_patch*"
)
"""The allowed kind, in words."""


def meta_model(name: str, **changes: Any) -> VisionTransformer:
    """Return timm's model of this name without values: shapes on the meta device, in eval mode.

    `changes` go to timm, such as num_classes. Nothing is downloaded.

    Raises:
        ValueError: another kind of model than PLAIN.
    """
    with torch.device("meta"):
        model: Any = timm.create_model(name, pretrained=False, **changes)
    faults = unusual_parts(model)
    if faults:
        raise ValueError(f"model {name} has {', '.join(faults)}; allowed is {PLAIN}")
    vit: VisionTransformer = model.eval()
    return vit


def unusual_parts(model: nn.Module) -> list[str]:
    """Return in words what sets a model apart from a plain vision transformer; empty: it is one."""
    if type(model) is not VisionTransformer:
        return [f"the class {type(model).__name__}"]
    block: Any = model.blocks[0]
    if type(block) is not Block:
        return [f"blocks of the class {type(block).__name__}"]
    embedding = type(model.patch_embed).__name__
    found = {
        f"the patch embedding {embedding}": embedding != "PatchEmbed",
        "no class token": model.cls_token is None,
        f"{model.num_prefix_tokens} tokens before the patches": model.num_prefix_tokens != 1,
        f"attention of the class {type(block.attn).__name__}": type(block.attn).__name__
        != "Attention",
        "normalised queries and keys": not _is_identity(block.attn, "q_norm"),
        "qkv without bias": getattr(getattr(block.attn, "qkv", None), "bias", None) is None,
        f"an MLP of the class {type(block.mlp).__name__}": type(block.mlp).__name__ != "Mlp",
        "a norm after attention": not _is_identity(block.attn, "norm"),
        "a norm inside the MLP": not _is_identity(block.mlp, "norm"),
        "a norm before the blocks": not _is_identity(model, "norm_pre"),
        "a norm after the pooling": not _is_identity(model, "fc_norm"),
        f"the pooling {model.global_pool!r}": model.global_pool != "token",
    }
    return [fault for fault, there in found.items() if there]


def _is_identity(module: nn.Module, name: str) -> bool:
    return isinstance(getattr(module, name, None), nn.Identity)
