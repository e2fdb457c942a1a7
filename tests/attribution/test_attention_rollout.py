"""Attention rollout against the chain of whole matrices."""

import pytest
import torch

from seethrough.attribution.attention_rollout import attention_rollout, rollout_row


def draw_images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def matrix_chain(attentions: list[torch.Tensor]) -> torch.Tensor:
    eye = torch.eye(attentions[0].shape[1], dtype=attentions[0].dtype)
    product = eye.expand_as(attentions[0])
    for attention in attentions:
        product = (0.5 * attention + 0.5 * eye) @ product
    return product


def all_attention(model, images):
    """Attention of every block from the weights, mean over heads."""
    x = model._pos_embed(model.patch_embed(images))
    found = []
    for block in model.blocks:
        q, k, _ = block.attn.qkv(block.norm1(x)).chunk(3, dim=2)
        q, k = (
            part.view(len(x), x.shape[1], block.attn.num_heads, -1).transpose(1, 2)
            for part in (q, k)
        )
        found.append((q @ k.transpose(2, 3) / q.shape[3] ** 0.5).softmax(dim=3).mean(dim=1))
        x = block(x)
    return found


def test_by_hand():
    # (I + A) / 2 = (3/4 1/4; 0 1). Row 0 of its square: (9/16, 3/16 + 1/4).
    attention = torch.tensor([[[0.5, 0.5], [0.0, 1.0]]])
    assert rollout_row([attention, attention]).tolist() == [[0.5625, 0.4375]]


@pytest.mark.parametrize("start_block", [0, 1])
@torch.no_grad()
def test_equals_the_matrix_chain(tiny_vit, start_block):
    model, images = tiny_vit().double(), draw_images(3).double()
    chain = matrix_chain(all_attention(model, images)[start_block:])
    maps = attention_rollout(model, images, start_block=start_block)
    torch.testing.assert_close(maps, chain[:, 0, 1:].view(3, 4, 4))


def test_rows_that_sum_to_one_stay_so():
    attentions = torch.rand(5, 2, 7, 7, generator=torch.Generator().manual_seed(0)).softmax(dim=3)
    torch.testing.assert_close(rollout_row(list(attentions)).sum(dim=1), torch.ones(2))


@torch.no_grad()
def test_the_map_is_the_same_for_every_target(tiny_vit):
    model, images = tiny_vit(), draw_images(2)
    one, other = (attention_rollout(model, images, torch.tensor([c, c])) for c in (0, 4))
    assert torch.equal(one, other)


def test_bad_targets_and_blocks_are_refused(tiny_vit):
    model, images = tiny_vit(depth=2), draw_images(2)
    with pytest.raises(ValueError, match="target -1 is no class"):
        attention_rollout(model, images, torch.tensor([-1, 0]))
    with pytest.raises(ValueError, match="start_block is -1"):
        attention_rollout(model, images, start_block=-1)
