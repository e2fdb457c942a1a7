"""True patching: unit by unit through whole forward passes, and beside attribution patching."""

import pytest
import torch

from seethrough.neurons.activation_statistics import activation_statistics
from seethrough.neurons.attribution_patching import attribution_patching
from seethrough.neurons.rank_correlation import rank_correlation
from seethrough.neurons.sites import AttentionHeads, MlpUnits, sites_of, visited
from seethrough.neurons.true_patching import true_patching

LABELS = [0, 2, 2, 1, 0, 4, 2]  # no image of class 3, one of classes 1 and 4


@pytest.mark.parametrize("site", [MlpUnits(block=1), AttentionHeads(block=2)])
@torch.no_grad()
def test_equals_whole_forward_passes_image_by_image(tiny_vit, labelled_batches, site):
    model, batches = tiny_vit().double(), labelled_batches(LABELS, dtype=torch.float64)
    mean = torch.randn(site.shape(model), generator=torch.Generator().manual_seed(0)).double()
    units = torch.tensor([1, 0, 1])  # in any order, repeated ones repeated
    effects = true_patching(model, batches, site, mean, units, 5)
    expected = torch.zeros(5, 3).double()
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):
            for column, unit in enumerate(units.tolist()):

                def replace(_site, vectors, unit=unit):
                    vectors = vectors.clone()
                    vectors[:, :, unit] = mean[unit]
                    return vectors

                clean = model(image[None])[0, label]
                with visited(model, [site], replace):
                    change = model(image[None])[0, label] - clean
                expected[label, column] += change / LABELS.count(label)
    expected[3] = torch.nan
    torch.testing.assert_close(effects, expected, equal_nan=True)
    assert torch.equal(effects[:3, 0], effects[:3, 2])


def test_agrees_with_attribution_patching_in_rank(tiny_vit, labelled_batches):
    model, batches = tiny_vit(), labelled_batches([0, 1] * 8)
    sites = sites_of(model, [1])
    statistics = activation_statistics(model, batches, sites, 2)
    site = sites[0]
    mean = statistics[site].mean.float()
    predicted = attribution_patching(model, batches, {site: mean}, 2)[site]
    units = torch.arange(0, 128, 4)
    measured = true_patching(model, batches, site, mean, units, 2)
    # One unit of 128 changes little, so the first order should nearly hold.
    assert torch.all(rank_correlation(predicted[:, units], measured) > 0.8)


def test_dead_unit_and_no_units(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=0)
    with torch.no_grad():
        model.blocks[0].mlp.fc1.weight[3] = 0.0
        model.blocks[0].mlp.fc1.bias[3] = 0.0
    mean, batches = torch.zeros(128, 1), labelled_batches([0, 1])
    assert torch.all(true_patching(model, batches, site, mean, torch.tensor([3]), 2) == 0)
    none = torch.zeros(0, dtype=torch.int64)
    assert true_patching(model, batches, site, mean, none, 2).shape == (2, 0)


def test_the_model_is_left_as_it_was_also_after_an_exception(tiny_vit, labelled_batches):
    model, site = tiny_vit().train(), MlpUnits(block=0)
    model.head.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        true_patching(model, labelled_batches([0]), site, torch.zeros(128, 1), torch.tensor([0]), 1)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.blocks[0]._forward_pre_hooks


def test_what_does_not_fit_is_refused(tiny_vit):
    model, site, mean = tiny_vit(), MlpUnits(block=0), torch.zeros(128, 1)
    for unit in (-1, 128):
        with pytest.raises(ValueError, match=rf"units are 0 to 127, got \[{unit}\]"):
            true_patching(model, [], site, mean, torch.tensor([unit]), 2)
    with pytest.raises(ValueError, match="allowed is"):
        true_patching(model, [], site, mean[:5], torch.tensor([0]), 2)
