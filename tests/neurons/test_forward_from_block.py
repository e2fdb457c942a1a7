"""The rest of a forward pass equals the whole one."""

import pytest
import torch

from seethrough.neurons.forward_from_block import block_inputs, forward_from_block


@pytest.mark.parametrize("changes", [{}, {"no_embed_class": False, "init_values": None}])
@torch.no_grad()
def test_equals_the_whole_forward_pass_from_every_block(tiny_vit, changes):
    model = tiny_vit(**changes)
    images = torch.randn(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    with block_inputs(model, range(3)) as inputs:
        logits = model(images)
    assert sorted(inputs) == [0, 1, 2]
    for block, tokens in inputs.items():
        assert torch.equal(forward_from_block(model, tokens, block), logits)


def test_hooks_are_removed_also_after_an_exception(tiny_vit):
    model = tiny_vit()

    def run():
        with block_inputs(model, [0, 1]):
            model(torch.zeros(1, 3, 17, 17))

    with pytest.raises(AssertionError, match="17"):
        run()
    assert not any(block._forward_pre_hooks for block in model.blocks)
