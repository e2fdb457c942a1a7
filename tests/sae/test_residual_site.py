"""Sites on the residual stream: the tokens they read and write, and where the model is cut."""

import pytest
import torch

from seethrough.sae.residual_site import ResidualSite, last_block_site, stream_after_block


def test_reads_and_writes_its_tokens_alone():
    stream = torch.arange(12.0).view(1, 4, 3)
    patches, class_token = ResidualSite(block=0, tokens="patches"), ResidualSite(block=0)
    assert class_token.read(stream).tolist() == [[[0, 1, 2]]]
    assert patches.read(stream).tolist() == [[[3, 4, 5], [6, 7, 8], [9, 10, 11]]]
    before = stream.clone()
    assert class_token.write(stream, torch.zeros(1, 1, 3))[0, :, 0].tolist() == [0, 3, 6, 9]
    assert patches.write(stream, torch.zeros(1, 3, 3))[0, :, 2].tolist() == [2, 0, 0, 0]
    for site in (class_token, patches):
        assert torch.equal(site.write(stream, site.read(stream)), stream)
    assert torch.equal(stream, before)


@torch.no_grad()
@pytest.mark.parametrize("changes", [{}, {"pre_norm": True}, {"no_embed_class": False}])
def test_the_stream_is_that_of_the_model(tiny_vit, changes):
    model, images = tiny_vit(**changes), torch.randn(2, 3, 16, 16)
    for block in range(3):
        seen = []
        handle = model.blocks[block].register_forward_hook(lambda *a, seen=seen: seen.append(a[2]))
        model(images)
        handle.remove()
        assert torch.equal(stream_after_block(model, images, block), seen[0])


def test_later_blocks_are_not_computed(tiny_vit):
    model = tiny_vit()
    model.blocks[1].register_forward_hook(lambda *_: pytest.fail("block 1 was computed"))
    stream_after_block(model, torch.randn(1, 3, 16, 16), 0)


def test_names(tiny_vit):
    assert last_block_site(tiny_vit()) == ResidualSite(block=2, tokens="class")
    assert last_block_site(tiny_vit(), "patches").name == "blocks.2.patches"


def test_refuses_what_is_not_there(tiny_vit):
    with pytest.raises(ValueError, match="tokens is 'all', allowed are class, patches"):
        ResidualSite(block=0, tokens="all")
    images = torch.randn(1, 3, 16, 16)
    for block in (-1, 3):
        with pytest.raises(ValueError, match=f"block is {block}, allowed is 0 to 2"):
            stream_after_block(tiny_vit(), images, block)
    with pytest.raises(ValueError, match="allowed is a plain VisionTransformer"):
        last_block_site(tiny_vit(global_pool="avg", class_token=True))
