"""Which of timm's models are plain vision transformers, and what sets others apart."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import nn

from seethrough.models.plain_vit import meta_model, unusual_parts


@pytest.mark.parametrize(
    "name", ["deit3_small_patch16_224", "deit_tiny_patch16_224", "vit_tiny_patch16_224", "test_vit"]
)
def test_plain_models(name: str) -> None:
    model = meta_model(name)
    assert unusual_parts(model) == []
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    assert not model.training


def test_changes_go_to_timm() -> None:
    assert meta_model("test_vit", num_classes=7).head.out_features == 7


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet18", "the class ResNet"),
        ("deit_tiny_distilled_patch16_224", "the class VisionTransformerDistilled"),
        ("vit_base_patch32_clip_224", "a norm before the blocks"),
        ("test_vit3", "no class token"),
        ("test_vit4", "a norm after the pooling"),
        ("vit_small_patch16_18x2_224", "blocks of the class ParallelThingsBlock"),
        ("vit_small_patch14_reg4_dinov2", "5 tokens before the patches"),
        ("vit_base_r50_s16_224", "the patch embedding HybridEmbed"),
    ],
)
def test_other_models_are_refused_with_what_is_unusual(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=f"model {name} has .*{words}.*allowed is timm's Vision"):
        meta_model(name)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"qkv_bias": False}, "qkv without bias"),
        ({"qk_norm": True}, "normalised queries and keys"),
        ({"global_pool": "avg"}, "the pooling 'avg'"),
        ({"reg_tokens": 2}, "3 tokens before the patches"),
        ({"pre_norm": True}, "a norm before the blocks"),
    ],
)
def test_unusual_parts_of_small_models(
    tiny_vit: Callable[..., Any], settings: dict[str, Any], words: str
) -> None:
    assert unusual_parts(tiny_vit()) == []
    assert words in unusual_parts(tiny_vit(**settings))


def test_no_transformer_at_all() -> None:
    assert unusual_parts(nn.Linear(2, 2)) == ["the class Linear"]
