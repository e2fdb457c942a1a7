"""Raw attention of the last block."""

import pytest
import torch

from seethrough.attribution.raw_attention import raw_attention


def draw_images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()


@torch.no_grad()
def test_equals_the_definition(tiny_vit):
    model, images = tiny_vit(depth=2).double(), draw_images(2)
    last = model.blocks[1]
    x = model.blocks[0](model._pos_embed(model.patch_embed(images)))
    q, k, _ = last.attn.qkv(last.norm1(x)).chunk(3, dim=2)  # (B, T, D)
    expected = torch.zeros(2, 4, 4, dtype=torch.float64)
    for image in range(2):
        for head in (slice(0, 16), slice(16, 32)):
            scores = k[image, :, head] @ q[image, 0, head] / 16**0.5
            expected[image] += scores.softmax(dim=0)[1:].view(4, 4) / 2
    torch.testing.assert_close(raw_attention(model, images), expected)


def test_equal_tokens_share_attention_evenly(tiny_vit):
    """With keys of 0 every token gets the same attention, 1/17."""
    model = tiny_vit()
    with torch.no_grad():
        model.blocks[-1].attn.qkv.weight[32:64] = 0
        model.blocks[-1].attn.qkv.bias[32:64] = 0
    maps = raw_attention(model, draw_images(1).float())
    torch.testing.assert_close(maps, torch.full((1, 4, 4), 1 / 17))


def test_a_target_that_is_not_there_is_refused(tiny_vit):
    with pytest.raises(ValueError, match="target 9 is no class, allowed is 0 to 4"):
        raw_attention(tiny_vit(), draw_images(1).float(), torch.tensor([9]))
