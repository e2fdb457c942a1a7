"""Latent ablation: what is written is taken out, the error stays, classes have their own sets."""

import pytest
import torch

from seethrough.sae.latent_ablation import latent_ablation_impact, without_latents
from seethrough.sae.residual_site import ResidualSite

LABELS = [0, 2, 2, 1, 0, 4, 2]  # no image of class 3, one of classes 1 and 4
SITES = [ResidualSite(block=2), ResidualSite(block=1, tokens="patches")]


@pytest.fixture
def selected() -> torch.Tensor:
    """Return some latents per class, none for class 1."""
    chosen = torch.rand(5, 96, generator=torch.Generator().manual_seed(4)) < 0.4
    chosen[1] = False
    return chosen


def test_the_error_term_is_kept(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24, dtype=torch.float64), sparse_inputs(20).double()
    removed = torch.rand(2, 24, generator=torch.Generator().manual_seed(0)) < 0.5
    classes = torch.arange(20) % 2
    found = without_latents(sae, inputs, removed, classes)
    code = sae.encode_dense(inputs)
    kept = torch.where(removed[classes], 0.0, code)
    # x' = reconstruction of what is left + the error of the whole
    dictionary, scale = sae.dictionary, sae.standardisation.scale
    left = scale * (kept @ dictionary.W_dec + dictionary.b_dec) + sae.standardisation.mean
    torch.testing.assert_close(found, (left + inputs - sae(inputs)).detach())
    nothing = torch.zeros(2, 24, dtype=torch.bool)
    assert torch.equal(without_latents(sae, inputs, nothing, classes), inputs)


@torch.no_grad()
@pytest.mark.parametrize("site", SITES)
def test_impact_image_by_image(tiny_vit, labelled_batches, make_sae, selected, site):
    model, sae = tiny_vit().double(), make_sae(dtype=torch.float64)
    batches = labelled_batches(LABELS, dtype=torch.float64)
    found = latent_ablation_impact(model, sae, site, batches, selected)
    expected = torch.zeros(5).double()
    for images, labels in batches:
        for image, label in zip(images, labels.tolist(), strict=True):

            def hook(_module, _inputs, stream, label=label):
                part = slice(0, 1) if site.tokens == "class" else slice(1, None)
                stream = stream.clone()
                for token in range(17)[part]:
                    code = sae.encode_dense(stream[:, token])[0] * selected[label]
                    written = code @ sae.dictionary.W_dec * sae.standardisation.scale
                    stream[0, token] -= written
                return stream

            clean = model(image[None])[0]
            handle = model.blocks[site.block].register_forward_hook(hook)
            change = clean[label] - model(image[None])[0, label]
            handle.remove()
            expected[label] += change / clean.norm() / LABELS.count(label)
    expected[3] = torch.nan
    assert expected[1] == 0
    assert expected[[0, 2, 4]].abs().min() > 1e-4
    torch.testing.assert_close(found, expected, equal_nan=True)
