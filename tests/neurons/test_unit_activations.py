"""Stored activations: the readings of every image, in order, in any batches."""

import pytest
import torch

from seethrough.neurons.sites import AttentionHeads, MlpUnits, recorded, sites_of
from seethrough.neurons.unit_activations import unit_activations

LABELS = [3, 0, 0, 2, 1]


@torch.no_grad()
def test_in_the_order_of_the_images(tiny_vit, labelled_batches):
    model, sites = tiny_vit(), sites_of(tiny_vit(), [2])
    batches = labelled_batches(LABELS, batch_size=2)
    activations, labels = unit_activations(model, batches, sites)
    assert labels.tolist() == LABELS
    with recorded(model, sites) as at:
        model(torch.cat([images for images, _ in batches]))
    mlp, heads = at[MlpUnits(block=2)][..., 0], at[AttentionHeads(block=2)].norm(dim=-1)
    for found, values in zip(
        (activations[sites[0]], activations[sites[1]]), (mlp, heads), strict=True
    ):
        torch.testing.assert_close(found.class_token, values[:, 0])
        torch.testing.assert_close(found.patch_maximum, values[:, 1:].amax(dim=1))


def test_stored_in_float32_and_without_a_graph(tiny_vit, labelled_batches):
    model, sites = tiny_vit().double(), (AttentionHeads(block=0),)
    batches = labelled_batches(LABELS, dtype=torch.float64)
    found = unit_activations(model, batches, sites)[0][sites[0]]
    assert found.class_token.dtype == found.patch_maximum.dtype == torch.float32
    assert not found.class_token.requires_grad


def test_without_images_refused_and_the_model_left_as_it_was(tiny_vit):
    model = tiny_vit().train()
    with pytest.raises(ValueError, match="at least one batch"):
        unit_activations(model, [], (MlpUnits(block=0),))
    assert all(module.training for module in model.modules())
    assert not model.blocks[0].mlp.act._forward_hooks
