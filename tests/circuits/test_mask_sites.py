"""Sites and nodes: where each stands, and how many a model has."""

import pytest
import torch

from seethrough.circuits.mask_sites import KINDS, node_layout
from seethrough.models.plain_vit import meta_model
from seethrough.models.vit_sizes import vit_sizes


def test_the_papers_model_has_its_numbers_of_sites_and_nodes():
    model = meta_model("deit3_base_patch16_224.fb_in1k")
    by_channel, by_head = node_layout(model), node_layout(model, "head")
    assert len(by_channel.sites) == len(by_head.sites) == 96
    # Per block 4 x 768 (norms and outputs) + 3072 + 3 x 768, or 3 x 12 for q, k and v by head.
    assert by_channel.n_nodes == 12 * 8_448 == 101_376
    assert by_head.n_nodes == 12 * 6_180 == 74_160
    assert by_channel.n_channels == by_head.n_channels == 101_376
    sizes = vit_sizes(model)
    assert (by_channel.n_nodes, by_head.n_nodes) == (sizes.nodes_per_channel, sizes.nodes_per_head)


@pytest.mark.parametrize(("granularity", "n_q"), [("channel", 8), ("head", 2)])
def test_nodes_stand_block_by_block_and_site_by_site(small_vit, granularity, n_q):
    layout = node_layout(small_vit(), granularity)
    assert layout.n_blocks == 2
    assert [site.name for site in layout.sites[7:10]] == [
        "blocks.0.mlp_out",
        "blocks.1.norm1",
        "blocks.1.q",
    ]
    first = 0
    for number, site in enumerate(layout.sites):
        block, kind = divmod(number, 8)
        assert (site.block, site.kind) == (block, KINDS[kind])
        width = 32 if site.kind == "mlp_act" else 8
        n_nodes = n_q if site.kind in ("q", "k", "v") else width
        assert (site.first, site.n_nodes, site.width) == (first, n_nodes, width)
        assert site.nodes == slice(first, first + n_nodes)
        first += n_nodes
    assert layout.n_nodes == first


def test_parts_are_views_and_channels_repeat_heads(small_vit):
    layout = node_layout(small_vit(), "head")
    nodes = torch.arange(2 * layout.n_nodes).view(2, -1)
    for site, part in zip(layout.sites, layout.by_site(nodes), strict=True):
        assert torch.equal(part, nodes[:, site.nodes])
        assert part.untyped_storage().data_ptr() == nodes.untyped_storage().data_ptr()
    channels = layout.channels(nodes)
    # norm1 has nodes 0 to 7; the two heads of q are nodes 8 and 9, four channels each.
    assert channels[0, :16].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 8, 8, 9, 9, 9, 9]
    assert channels.shape == (2, layout.n_channels)
    by_channel = node_layout(small_vit())
    nodes = torch.rand(by_channel.n_nodes)
    assert torch.equal(by_channel.channels(nodes), nodes)


def test_what_cannot_be_masked_is_refused(small_vit, tiny_vit):
    with pytest.raises(ValueError, match="granularity is 'token', allowed: channel, head"):
        node_layout(small_vit(), "token")
    with pytest.raises(ValueError, match="normalised queries"):
        node_layout(tiny_vit(qk_norm=True))
    with pytest.raises(ValueError, match="allowed is timm's VisionTransformer"):
        node_layout(torch.nn.Linear(2, 2))
