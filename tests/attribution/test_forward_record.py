"""The record holds what the model computes, and the model computes what it always does."""

import torch

from seethrough.attribution.forward_record import mean_attention, record_forward


def draw_images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()


def test_records_fit_together(tiny_vit):
    model, images = tiny_vit().double(), draw_images(2)
    with torch.no_grad():
        record = record_forward(model, images, start_block=1)
        torch.testing.assert_close(record.logits, model(images))
        assert [r.block for r in record.blocks] == list(model.blocks[1:])
        for block in record.blocks:
            torch.testing.assert_close(block.middle, block.inputs + block.attention_branch)
            torch.testing.assert_close(block.block(block.inputs), block.middle + block.mlp_branch)
            torch.testing.assert_close(block.block.attn.qkv(block.attention_inputs), block.qkv)
            torch.testing.assert_close(block.block.norm2(block.middle), block.mlp_inputs)
            torch.testing.assert_close(
                block.block.ls2(block.block.mlp.fc2(block.hidden)), block.mlp_branch
            )
            torch.testing.assert_close(
                block.block.ls1(block.block.attn.proj(block.mixed)), block.attention_branch
            )
            torch.testing.assert_close(
                block.attention.sum(dim=3), torch.ones(2, 2, 17, dtype=torch.float64)
            )
        torch.testing.assert_close(model.head(record.head_inputs), record.logits)


def test_the_graph_begins_at_the_first_attention(tiny_vit):
    model, images = tiny_vit().double(), draw_images(2).requires_grad_(True)
    record = record_forward(model, images, start_block=1)
    attentions = [block.attention for block in record.blocks]
    assert [attention.is_leaf for attention in attentions] == [True, False]
    score = record.logits.sum()
    inputs = [*attentions, images, *model.parameters()]
    gradients = torch.autograd.grad(score, inputs, allow_unused=True)
    assert [gradient is not None for gradient in gradients[:2]] == [True, True]
    assert gradients[2:] == (None,) * (len(inputs) - 2)


def test_mean_attention_is_that_of_the_record(tiny_vit):
    model, images = tiny_vit().double(), draw_images(2)
    logits, means = mean_attention(model, images, start_block=1)
    record = record_forward(model, images, start_block=1)
    torch.testing.assert_close(logits, record.logits.detach())
    for mean, block in zip(means, record.blocks, strict=True):
        torch.testing.assert_close(mean, block.attention.detach().mean(dim=1))
