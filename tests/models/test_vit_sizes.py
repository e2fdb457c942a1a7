"""Counts of vision transformers: by hand, by torch's own counter, and those of DeiT-III B/16."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from seethrough.models.plain_vit import meta_model
from seethrough.models.vit_sizes import vit_sizes


def test_deit3_base() -> None:
    sizes = vit_sizes(meta_model("deit3_base_patch16_224"))
    assert sizes.parameters == 86_585_320
    assert sizes.prunable_weights == 84_934_656
    assert sizes.circuit_sites == 96
    assert sizes.sae_latents == 24_576
    assert sizes.nodes_per_channel == 101_376
    assert sizes.nodes_per_head == 74_160
    assert sizes.tokens == 197
    # Published as 17.5 GFLOPs, where a multiply-add counts as one.
    assert sizes.forward_flops / 2e9 == pytest.approx(17.5, abs=0.1)


def test_tiny_by_hand(tiny_vit: Callable[..., Any]) -> None:
    # D = 32, M = 128, two heads, two blocks, 16 patches of 4 x 4 x 3 and a class token, 5 classes.
    sizes = vit_sizes(tiny_vit(depth=2))
    per_block = 32 * 96 + 32 * 32 + 2 * 32 * 128
    assert sizes.prunable_weights == 2 * per_block
    assert sizes.circuit_sites == 16
    assert sizes.sae_latents == 1024
    assert sizes.nodes_per_channel == 2 * (4 * 32 + 128 + 3 * 32)
    assert sizes.nodes_per_head == 2 * (4 * 32 + 128 + 3 * 2)
    attention = 2 * 17 * 17 * 32
    linear = 16 * 48 * 32 + 2 * (17 * per_block + attention) + 32 * 5
    assert sizes.forward_flops == 2 * linear


@pytest.mark.parametrize("name", ["deit3_small_patch16_224", "deit_tiny_patch16_224"])
def test_operations_equal_a_count_while_running(name: str) -> None:
    model = meta_model(name)
    for block in model.blocks:
        block.attn.fused_attn = False
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        model(torch.empty(1, 3, 224, 224, device="meta"))
    assert vit_sizes(model).forward_flops == counter.get_total_flops()
