"""Latent importance: autograd through the code, exact where the head is linear, and the choice."""

import pytest
import torch
from torch import nn

from seethrough.neurons.forward_from_block import forward_from_block
from seethrough.sae.latent_ablation import latent_ablation_impact
from seethrough.sae.latent_importance import latent_importance, top_latents
from seethrough.sae.residual_site import ResidualSite, stream_after_block

LABELS = [0, 2, 2, 1, 0, 4, 2]
SITES = [ResidualSite(block=2), ResidualSite(block=0), ResidualSite(block=1, tokens="patches")]


@pytest.mark.parametrize("site", SITES)
def test_equals_autograd_through_the_code(tiny_vit, labelled_batches, make_sae, site):
    model, sae = tiny_vit().double(), make_sae(dtype=torch.float64)
    batches = labelled_batches(LABELS, dtype=torch.float64)
    found = latent_importance(model, sae, site, batches, 5)
    expected = torch.zeros(5, 96).double()
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):
            stream = stream_after_block(model, image[None], site.block).detach()
            tokens = site.read(stream)[0]
            code = sae.encode_dense(tokens).requires_grad_()
            standardised = code @ sae.dictionary.W_dec + sae.dictionary.b_dec
            x_hat = sae.standardisation.undo(standardised)
            spliced = x_hat + (tokens - x_hat).detach()  # the error term is kept
            logits = forward_from_block(model, site.write(stream, spliced[None]), site.block + 1)
            (gradient,) = torch.autograd.grad(logits[0, label], code)
            expected[label] += (code.detach() * gradient).sum(0) / LABELS.count(label)
    expected[3] = torch.nan
    torch.testing.assert_close(found, expected, equal_nan=True)


def test_is_exact_where_the_logits_are_linear(tiny_vit, labelled_batches, make_sae):
    """Without the final norm the head reads the class token linearly: -s is the true change."""
    model, sae, site = tiny_vit(), make_sae(), SITES[0]
    model.norm = nn.Identity()
    batches = labelled_batches([0, 0, 0])
    importance = latent_importance(model, sae, site, batches, 5)
    chosen = top_latents(importance, 3)
    assert int(chosen[0].sum()) == 3
    impact = latent_ablation_impact(model, sae, site, batches, chosen)
    # one image at a time, so that each impact has its own norm
    total = 0.0
    for image in batches[0][0]:
        batch = [(image[None], torch.tensor([0]))]
        own = latent_importance(model, sae, site, batch, 5)[0, chosen[0]].sum()
        total += float(own / model(image[None])[0].detach().norm()) / 3
    assert float(impact[0]) == pytest.approx(total, rel=1e-3)


def test_a_latent_that_never_fires_matters_to_nobody(tiny_vit, labelled_batches, make_sae):
    model, sae = tiny_vit(), make_sae()
    with torch.no_grad():
        sae.dictionary.b_enc[11] = -1e6
    found = latent_importance(model, sae, SITES[0], labelled_batches(LABELS), 5)
    assert found[[0, 1, 2, 4], 11].tolist() == [0, 0, 0, 0]
    assert not top_latents(found, 96)[:, 11].any()


def test_leaves_the_model_as_it_was(tiny_vit, labelled_batches, make_sae):
    model = tiny_vit().train()
    latent_importance(model, make_sae(), SITES[0], labelled_batches(LABELS), 5)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_choice_by_hand():
    nan = torch.nan
    importance = torch.tensor([[1.0, 3.0, 3.0, 2.0], [-1.0, 0.0, 0.5, -2.0], [nan, nan, nan, nan]])
    assert top_latents(importance, 2).tolist() == [
        [False, True, True, False],
        [False, False, True, False],
        [False, False, False, False],
    ]
    assert top_latents(importance, 1)[0].tolist() == [False, True, False, False]
    for count in (0, 5):
        with pytest.raises(ValueError, match=f"count is {count}, allowed is 1 to 4"):
            top_latents(importance, count)
