"""Ablation impact: image by image from the definition, in any batches, and at the limits."""

import pytest
import torch
from torch import nn

from seethrough.neurons.ablation_impact import ablation_impact
from seethrough.neurons.baseline_units import all_units, random_units
from seethrough.neurons.sites import AttentionHeads, MlpUnits, sites_of, visited

LABELS = [0, 2, 2, 1, 0, 4, 2]  # no image of class 3, one of classes 1 and 4


def some_means(model: nn.Module, sites) -> dict:
    generator = torch.Generator().manual_seed(3)
    return {site: torch.randn(site.shape(model), generator=generator) for site in sites}


def some_units(model: nn.Module, sites, count: int = 20) -> dict:
    numbers = {site: site.shape(model)[0] for site in sites}
    return random_units(numbers, count, 5, torch.Generator().manual_seed(4))


@torch.no_grad()
def test_equals_the_definition_image_by_image(tiny_vit, labelled_batches):
    model, batches = tiny_vit().double(), labelled_batches(LABELS, dtype=torch.float64)
    sites = sites_of(model, [0, 2])
    means, chosen = some_means(model, sites), some_units(model, sites)
    last = {MlpUnits(block=2): chosen[MlpUnits(block=2)]}
    found = ablation_impact(model, batches, {"both": chosen, "last": last}, means)
    for name, selection in (("both", chosen), ("last", last)):
        expected = torch.zeros(5).double()
        for images, labels in batches:
            for image, label in zip(images, labels.tolist(), strict=True):

                def replace(site, vectors, label=label, selection=selection):
                    vectors = vectors.clone()
                    for unit in selection[site][label].nonzero()[:, 0].tolist():
                        vectors[:, :, unit] = means[site][unit]
                    return vectors

                clean = model(image[None])[0]
                with visited(model, selection, replace):
                    change = clean[label] - model(image[None])[0, label]
                expected[label] += change / clean.square().sum().sqrt() / LABELS.count(label)
        expected[3] = torch.nan
        torch.testing.assert_close(found[name], expected, equal_nan=True)


def test_by_hand_all_units_of_the_last_block(tiny_vit, labelled_batches):
    # A head that reads nothing but its bias: f = b whatever the units do, so the impact is 0. With
    # b = (3, 4) and the units' contribution blocked, |f| = 5 and nothing is lost.
    model = tiny_vit(num_classes=2)
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(torch.tensor([3.0, 4.0]))
    site = MlpUnits(block=2)
    everything = all_units({site: 128}, 2)
    batches, means = labelled_batches([0, 1]), some_means(model, [site])
    found = ablation_impact(model, batches, {"all": everything}, means)["all"]
    assert found.tolist() == [0.0, 0.0]
    # The class token alone carries on: a head that sums it and a last block that writes 1 per unit
    # value into dimension 0. Replacing all units by 0 then loses exactly what they wrote.
    with torch.no_grad():
        model.norm = nn.Identity()
        model.head.weight[:, 0] = 1.0
        block = model.blocks[2]
        block.ls2.gamma.fill_(1.0)
        block.mlp.fc2.weight.zero_()
        block.mlp.fc2.weight[0] = 1.0
        written = []
        with visited(model, [site], lambda _, a: written.append(a[:, 0].sum(dim=(1, 2)))):
            logits = model(batches[0][0])
    zero = {site: torch.zeros(128, 1)}
    found = ablation_impact(model, batches, {"all": everything}, zero)["all"]
    expected = (written[0] / logits.norm(dim=1)).double()
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_batches_and_names_of_classes_make_no_difference(tiny_vit, labelled_batches):
    model = tiny_vit()
    sites = sites_of(model, [1])
    means, chosen = some_means(model, sites), some_units(model, sites)
    whole = ablation_impact(model, labelled_batches(LABELS, batch_size=7), {"": chosen}, means)
    ones = labelled_batches(LABELS, batch_size=1)
    found = ablation_impact(model, ones, {"": chosen}, means)
    torch.testing.assert_close(found, whole, rtol=1e-4, atol=1e-5, equal_nan=True)
    order = torch.tensor([3, 0, 4, 1, 2])
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight[order.argsort()])
        model.head.bias.copy_(model.head.bias[order.argsort()])
    renamed = [(images, order[labels]) for images, labels in ones]
    rows = {site: units[order.argsort()] for site, units in chosen.items()}
    permuted = ablation_impact(model, renamed, {"": rows}, means)[""]
    torch.testing.assert_close(permuted[order], found[""], rtol=1e-4, atol=1e-5, equal_nan=True)


def test_no_unit_and_dead_units_have_no_impact(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=1)
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[7] = 0.0
        model.blocks[1].mlp.fc1.bias[7] = 0.0
    none = torch.zeros(5, 128, dtype=torch.bool)
    dead = none.clone()
    dead[:, 7] = True
    selections = {"none": {site: none}, "dead": {site: dead}}
    means = {site: torch.zeros(128, 1)}
    found = ablation_impact(model, labelled_batches(LABELS), selections, means)
    for impact in found.values():
        assert torch.all(impact[[0, 1, 2, 4]] == 0)
        assert impact[3].isnan()


def test_the_model_is_left_as_it_was_also_after_an_exception(tiny_vit, labelled_batches):
    model, site = tiny_vit().train(), AttentionHeads(block=1)
    chosen = all_units({site: 2}, 5)
    model.blocks[2].register_forward_hook(lambda *_: 1 / 0)
    means = some_means(model, [site])
    with pytest.raises(ZeroDivisionError):
        ablation_impact(model, labelled_batches(LABELS), {"": {site: chosen[site]}}, means)
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.blocks[1]._forward_pre_hooks
    assert not model.blocks[1].attn.proj._forward_pre_hooks


def test_selections_that_do_not_fit_are_refused(tiny_vit):
    model, site, other = tiny_vit(), MlpUnits(block=1), AttentionHeads(block=1)
    means = some_means(model, [site])
    good = torch.ones(5, 128, dtype=torch.bool)
    for selections, message in (
        ({}, "at least one site"),
        ({"top": {}}, "at least one site"),
        ({"top": {other: good[:, :2]}}, "'top' has units of blocks.1.heads, which has no mean"),
        ({"top": {site: good[:, :9]}}, "has 9 units of blocks.1.mlp, allowed is 128"),
        ({"a": {site: good}, "b": {site: good[:4]}}, r"one number of classes, got \[4, 5\]"),
    ):
        with pytest.raises(ValueError, match=message):
            ablation_impact(model, [], selections, means)
