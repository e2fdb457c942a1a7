"""Pools: the model's own activations in order, as many as asked for, finite; and their shuffles."""

import pytest
import torch

from seethrough.sae.activation_pool import activation_pool, require_finite, shuffled_batches
from seethrough.sae.residual_site import ResidualSite

LABELS = [0, 2, 1, 4, 3, 0, 1]


@torch.no_grad()
@pytest.mark.parametrize(("tokens", "per_image"), [("class", 1), ("patches", 16)])
def test_holds_the_activations_in_order(tiny_vit, labelled_batches, tokens, per_image):
    model, batches = tiny_vit(), labelled_batches(LABELS)
    site = ResidualSite(block=1, tokens=tokens)
    pool = activation_pool(model, batches, site, 1000)
    seen = []
    model.blocks[1].register_forward_hook(lambda *a: seen.append(site.read(a[2])))
    for images, _ in batches:
        model(images)
    assert torch.equal(pool.inputs, torch.cat(seen).flatten(0, 1))
    assert pool.labels.tolist() == [label for label in LABELS for _ in range(per_image)]
    assert pool.inputs.dtype == torch.float32


@pytest.mark.parametrize("capacity", [1, 4, 5, 7])
def test_stops_when_it_is_full(tiny_vit, labelled_batches, capacity):
    model, site, given = tiny_vit(), ResidualSite(block=0), []

    def batches():
        for batch in labelled_batches(LABELS):
            given.append(batch)
            yield batch

    everything = activation_pool(model, labelled_batches(LABELS), site, 1000)
    pool = activation_pool(model, batches(), site, capacity)
    assert torch.equal(pool.inputs, everything.inputs[:capacity])
    assert pool.labels.tolist() == LABELS[:capacity]
    assert len(given) == (1 if capacity <= 4 else 2)


def test_takes_part_of_an_image_if_full_there(tiny_vit, labelled_batches):
    site = ResidualSite(block=0, tokens="patches")
    pool = activation_pool(tiny_vit(), labelled_batches(LABELS), site, 20)
    assert pool.labels.tolist() == [0] * 16 + [2] * 4


def test_leaves_the_model_as_it_was_and_reads_it_in_evaluation_mode(tiny_vit, labelled_batches):
    model = tiny_vit(proj_drop_rate=0.9)
    expected = activation_pool(model, labelled_batches(LABELS), ResidualSite(block=2), 7)
    model.train()
    again = activation_pool(model, labelled_batches(LABELS), ResidualSite(block=2), 7)
    assert torch.equal(again.inputs, expected.inputs)
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_model_in_half_precision_fills_a_pool_of_float32(tiny_vit, labelled_batches):
    model = tiny_vit().to(torch.bfloat16)
    batches = labelled_batches(LABELS, dtype=torch.bfloat16)
    assert activation_pool(model, batches, ResidualSite(block=0), 7).inputs.dtype == torch.float32


def test_refuses_an_empty_pool_and_no_capacity(tiny_vit, labelled_batches):
    with pytest.raises(ValueError, match="at least one image, got none"):
        activation_pool(tiny_vit(), [], ResidualSite(block=0), 5)
    with pytest.raises(ValueError, match="capacity is 0, allowed is at least 1"):
        activation_pool(tiny_vit(), labelled_batches(LABELS), ResidualSite(block=0), 0)


def test_refuses_activations_that_are_no_numbers(tiny_vit, labelled_batches):
    batches = labelled_batches(LABELS)
    batches[1][0][2] = torch.nan
    message = "NaN or an infinity in 1 of 7 vectors, first in number 6"
    with pytest.raises(ValueError, match=message):
        activation_pool(tiny_vit(), batches, ResidualSite(block=0), 7)
    activation_pool(tiny_vit(), batches, ResidualSite(block=0), 6)
    with pytest.raises(ValueError, match="2 of 3 vectors, first in number 1"):
        require_finite(torch.tensor([[1.0], [torch.inf], [-torch.inf]]))


def test_a_pass_brings_every_vector_once_in_an_order_of_the_generator():
    inputs = torch.arange(10.0)[:, None]

    def batches(seed: int, first: int = 0) -> list[list[float]]:
        generator = torch.Generator().manual_seed(seed)
        return [b[:, 0].tolist() for b in shuffled_batches(inputs, 4, generator, first)]

    found = batches(0)
    assert [len(batch) for batch in found] == [4, 4, 2]
    assert sorted(sum(found, [])) == list(range(10))
    assert found == batches(0)
    assert found != batches(1)
    assert batches(0, first=2) == found[2:]
    assert batches(0, first=3) == []
