"""Means of sites: against recorded activations, batch by batch, and what is refused."""

import pytest
import torch

from seethrough.attribution.forward_record import record_forward
from seethrough.circuits.mask_sites import node_layout
from seethrough.circuits.site_means import site_means


@pytest.mark.parametrize("changes", [{}, {"init_values": None}, {"no_embed_class": False}])
def test_equal_means_of_recorded_activations(small_vit, patterns, changes):
    model = small_vit(**changes).double()
    images = patterns.pixels[:7].double()
    expected = []
    for block in record_forward(model, images, 0).blocks:
        sites = (
            block.attention_inputs,
            block.qkv,
            block.attention_branch,
            block.mlp_inputs,
            block.hidden,
            block.mlp_branch,
        )
        expected += [site.flatten(0, 1).mean(dim=0) for site in sites]
    batches = [(some, torch.zeros(len(some), dtype=torch.int64)) for some in images.split(3)]
    means = site_means(model, batches)
    assert means.shape == (node_layout(model).n_channels,)
    torch.testing.assert_close(means, torch.cat(expected))


def test_float32_sums_do_not_depend_on_batches(small_vit, patterns):
    model, index = small_vit(), torch.arange(40)
    by_three, at_once = (site_means(model, patterns.batches(index, size)) for size in (3, 40))
    assert by_three.dtype == torch.float64
    torch.testing.assert_close(by_three, at_once, rtol=1e-5, atol=1e-6)


def test_the_model_is_left_as_it_was(small_vit, patterns):
    model = small_vit().train()
    site_means(model, patterns.batches(torch.arange(2), 2))
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


def test_no_images_are_refused(small_vit):
    with pytest.raises(ValueError, match="at least one image"):
        site_means(small_vit(), [])
