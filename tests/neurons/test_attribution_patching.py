"""Attribution patching: in closed form, from the definition image by image, exact where linear."""

import pytest
import torch
from torch import nn

from seethrough.neurons.attribution_patching import attribution_patching, top_units
from seethrough.neurons.sites import AttentionHeads, MlpUnits, recorded, sites_of, visited

LABELS = [0, 2, 2, 1, 0, 4, 2, 2, 1, 0]  # no image of class 3, one of class 4
A, B = MlpUnits(block=0), AttentionHeads(block=0)


def some_means(model: nn.Module, sites) -> dict:
    generator = torch.Generator().manual_seed(3)
    return {site: 0.3 * torch.randn(site.shape(model), generator=generator) for site in sites}


def linear_after_last_block(model: nn.Module) -> nn.Module:
    model.norm = nn.Identity()
    return model


def test_closed_form_for_the_last_blocks_units(tiny_vit, labelled_batches):
    # Without the final norm the class token x0 gives f = W x0 + b, and unit u of the last block
    # adds a_u0 gamma * V_u to x0, V_u its column of fc2. So df_c / da_u0 = W_c . (gamma * V_u),
    # other tokens have gradient 0, and s_cu = mean over c of (mu_u - a_u0) W_c . (gamma * V_u).
    model = linear_after_last_block(tiny_vit())
    site = MlpUnits(block=2)
    means = some_means(model, [site])
    batches = labelled_batches(LABELS)
    scores = attribution_patching(model, batches, means, 5)[site]
    with torch.no_grad(), recorded(model, [site]) as at:
        model(torch.cat([images for images, _ in batches]))
    block, labels = model.blocks[2], torch.tensor(LABELS)
    weight = model.head.weight @ (block.ls2.gamma[:, None] * block.mlp.fc2.weight)  # (C, U)
    for label in (0, 1, 2, 4):
        gap = means[site][:, 0] - at[site][labels == label, 0, :, 0].mean(dim=0)
        expected = (gap * weight[label]).detach().double()
        torch.testing.assert_close(scores[label], expected, rtol=1e-4, atol=1e-6)
    assert torch.isnan(scores[3]).all()


def test_equals_the_definition_image_by_image(tiny_vit, labelled_batches):
    some = LABELS[1:6]
    model, batches = tiny_vit(depth=2).double(), labelled_batches(some, dtype=torch.float64)
    sites = sites_of(model, [0, 1])
    means = some_means(model, sites)
    scores = attribution_patching(model, batches, means, 5)
    expected = {site: torch.zeros(5, site.shape(model)[0]).double() for site in sites}
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):
            for site in sites:  # one site at a time, its activations an input of the rest
                with torch.no_grad(), recorded(model, [site]) as at:
                    model(image[None])
                vectors = at[site].clone().requires_grad_()
                with visited(model, [site], lambda _, __, v=vectors: v):
                    model(image[None])[0, label].backward()
                for token in range(vectors.shape[1]):
                    for unit in range(vectors.shape[2]):
                        gap = means[site][unit] - vectors[0, token, unit].detach()
                        effect = gap @ vectors.grad[0, token, unit]
                        expected[site][label, unit] += effect / some.count(label)
    expected = {
        site: value.index_fill(0, torch.tensor([3]), torch.nan) for site, value in expected.items()
    }
    torch.testing.assert_close(scores, expected, equal_nan=True)


@pytest.mark.parametrize("site", [MlpUnits(block=2), AttentionHeads(block=2)])
def test_exact_where_the_rest_is_linear(tiny_vit, labelled_batches, site):
    model = linear_after_last_block(tiny_vit())
    if isinstance(site, AttentionHeads):
        with torch.no_grad():
            model.blocks[2].ls2.gamma.zero_()  # nothing non-linear follows the heads
    means, batches = some_means(model, [site]), labelled_batches([1] * 6)
    scores = attribution_patching(model, batches, means, 2)[site]
    images = torch.cat([images for images, _ in batches])

    for unit in (0, 1):

        def replace(_site, vectors, unit=unit):
            vectors = vectors.clone()
            vectors[:, :, unit] = means[site][unit]
            return vectors

        with torch.no_grad(), visited(model, [site], replace):
            changed = model(images)[:, 1]
        measured = (changed - model(images)[:, 1].detach()).double().mean()
        torch.testing.assert_close(scores[1, unit], measured, rtol=1e-4, atol=1e-6)


def test_batches_make_no_difference(tiny_vit, labelled_batches):
    model = tiny_vit()
    means = some_means(model, sites_of(model, [0, 2]))
    results = [
        attribution_patching(model, labelled_batches(LABELS, batch_size=size), means, 5)
        for size in (1, 3, 10)
    ]
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-4, atol=1e-5, equal_nan=True)


def test_permuting_classes_permutes_rows(tiny_vit, labelled_batches):
    model = tiny_vit()
    means, batches = some_means(model, sites_of(model, [1])), labelled_batches(LABELS)
    plain = attribution_patching(model, batches, means, 5)
    order = torch.tensor([3, 0, 4, 1, 2])  # class c becomes class order[c]
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight[order.argsort()])
        model.head.bias.copy_(model.head.bias[order.argsort()])
    renamed = [(images, order[labels]) for images, labels in batches]
    permuted = attribution_patching(model, renamed, means, 5)
    for site in means:
        torch.testing.assert_close(permuted[site][order], plain[site], equal_nan=True)


def test_a_unit_at_its_mean_and_a_unit_that_is_not_read_score_0(tiny_vit, labelled_batches):
    model, site = tiny_vit(), MlpUnits(block=1)
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[3] = 0.0  # dead: always 0
        model.blocks[1].mlp.fc1.bias[3] = 0.0
        model.blocks[1].mlp.fc2.weight[:, 8] = 0.0
    means = some_means(model, [site])
    means[site][3] = 0.0
    scores = attribution_patching(model, labelled_batches([0, 1]), means, 2)[site]
    assert torch.all(scores[:, [3, 8]] == 0)
    assert torch.all(scores[:, [2, 4]] != 0)


def test_duplicate_units_score_alike_and_the_first_ranks_first(tiny_vit, labelled_batches):
    model, site = tiny_vit().double(), MlpUnits(block=2)
    batches = labelled_batches([0] * 4, dtype=torch.float64)
    means = some_means(model, [site])
    best = int(attribution_patching(model, batches, means, 1)[site][0].argmin())
    twin = 5 if best != 5 else 6
    with torch.no_grad():
        model.blocks[2].mlp.fc1.weight[twin] = model.blocks[2].mlp.fc1.weight[best]
        model.blocks[2].mlp.fc1.bias[twin] = model.blocks[2].mlp.fc1.bias[best]
        model.blocks[2].mlp.fc2.weight[:, twin] = model.blocks[2].mlp.fc2.weight[:, best]
    means[site][twin] = means[site][best]
    scores = attribution_patching(model, batches, means, 1)[site]
    torch.testing.assert_close(scores[0, twin], scores[0, best])


def test_top_units_pool_sites_and_break_ties_by_position():
    scores = {
        A: torch.tensor([[-1.0, 0.5, -2.0], [0.0, 0.0, 0.0], [torch.nan] * 3]),
        B: torch.tensor([[-1.0, -3.0], [0.0, 0.0], [torch.nan] * 2]),
    }
    chosen = top_units(scores, 3)  # class 0: -3, -2, then the first -1; class 2 has no images
    assert chosen[A].tolist() == [[True, False, True], [True] * 3, [False] * 3]
    assert chosen[B].tolist() == [[False, True], [False] * 2, [False] * 2]
    assert top_units({B: scores[B]}, 1)[B].tolist() == [[False, True], [True, False], [False] * 2]
    everything = top_units(scores, 5)
    assert everything[A][:2].all()
    assert everything[B][:2].all()
    for count in (0, 6):
        with pytest.raises(ValueError, match=f"count is {count}, allowed is 1 to 5"):
            top_units(scores, count)


def test_the_model_is_left_as_it_was_also_after_an_exception(tiny_vit, labelled_batches):
    model = tiny_vit().train()
    model.blocks[0].eval()
    model.head.bias.requires_grad_(False)
    means = some_means(model, sites_of(model, [0]))
    before = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    batches = labelled_batches([0, 1])
    with torch.no_grad():  # gradients are switched on inside
        attribution_patching(model, batches, means, 2)
    model.head.register_forward_hook(lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        attribution_patching(model, batches, means, 2)
    after = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    assert after == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not model.blocks[0].mlp.act._forward_hooks
    assert not model.blocks[0].attn.proj._forward_pre_hooks


def test_means_that_do_not_fit_are_refused(tiny_vit):
    with pytest.raises(ValueError, match="at least one site"):
        attribution_patching(tiny_vit(), [], {}, 2)
    with pytest.raises(
        ValueError, match=r"blocks.0.heads has shape \(2, 1\), allowed is \(2, 16\)"
    ):
        attribution_patching(tiny_vit(), [], {B: torch.zeros(2, 1)}, 2)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_same_on_cuda_without_moving_to_the_host(tiny_vit, labelled_batches):
    model = tiny_vit()
    means = some_means(model, sites_of(model, [0, 2]))
    expected = attribution_patching(model, labelled_batches(LABELS), means, 5)
    model.cuda()
    on_cuda = {site: mean.cuda() for site, mean in means.items()}
    batches = [(images.cuda(), labels.cuda()) for images, labels in labelled_batches(LABELS)]
    attribution_patching(model, batches, on_cuda, 5)  # libraries load
    torch.cuda.set_sync_debug_mode("error")
    try:
        scores = attribution_patching(model, batches, on_cuda, 5)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for site, value in expected.items():
        torch.testing.assert_close(scores[site].cpu(), value, rtol=1e-2, atol=1e-2, equal_nan=True)
