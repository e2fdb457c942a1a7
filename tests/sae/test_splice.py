"""Splicing: perfect, useless and real reconstructions in the model, against hooks on its blocks."""

import math

import pytest
import torch
import torch.nn.functional as F

from seethrough.sae.activation_pool import activation_pool
from seethrough.sae.l1 import L1
from seethrough.sae.residual_site import ResidualSite
from seethrough.sae.splice import SpliceScores, TaskScores, splice_scores

LABELS = [0, 2, 2, 1, 0, 4, 3]
SITES = [ResidualSite(block=2), ResidualSite(block=0), ResidualSite(block=1, tokens="patches")]


@torch.no_grad()
@pytest.mark.parametrize("site", SITES)
def test_equals_hooks(tiny_vit, labelled_batches, make_sae, site):
    model, sae = tiny_vit(), make_sae()
    batches = labelled_batches(LABELS)
    found = splice_scores(model, sae, site, batches)
    images, labels = torch.cat([b[0] for b in batches]), torch.tensor(LABELS)
    for name, replace in (
        ("clean", lambda x: x),
        ("spliced", sae),
        ("mean", lambda x: sae.standardisation.mean.expand_as(x)),
    ):

        def hook(_module, _inputs, stream, replace=replace):
            part = slice(0, 1) if site.tokens == "class" else slice(1, None)
            stream = stream.clone()
            tokens = stream[:, part]
            stream[:, part] = replace(tokens.reshape(-1, 32)).view_as(tokens)
            return stream

        handle = model.blocks[site.block].register_forward_hook(hook)
        logits = model(images)
        handle.remove()
        scores = getattr(found, name)
        assert scores.top_1 == float((logits.argmax(1) == labels).double().mean())
        assert scores.cross_entropy == pytest.approx(float(F.cross_entropy(logits, labels)), 1e-5)
    assert found.n_images == 7
    assert found.spliced != found.clean


def test_a_perfect_reconstruction_changes_nothing(tiny_vit, labelled_batches, make_sae):
    """Latents +e_d and -e_d for every feature d: ReLU(y_d) - ReLU(-y_d) = y_d."""
    model, sae, batches = (
        tiny_vit(),
        make_sae(32, 64, L1(coefficient=0.0)),
        labelled_batches(LABELS),
    )
    pool = activation_pool(model, batches, SITES[0], 100)
    with torch.no_grad():
        for weights in (sae.dictionary.W_enc, sae.dictionary.W_dec):
            weights.copy_(torch.cat([torch.eye(32), -torch.eye(32)]))
        sae.dictionary.b_enc.zero_()
        sae.dictionary.b_dec.zero_()
        sae.standardisation.measure(pool.inputs)
    torch.testing.assert_close(sae(pool.inputs), pool.inputs)
    scores = splice_scores(model, sae, SITES[0], batches)
    assert scores.top_1_change == 0
    assert scores.cross_entropy_change == pytest.approx(0, abs=1e-5)
    assert scores.recovered == pytest.approx(1, abs=1e-4)


def test_changes_by_hand():
    def scores(clean: float, spliced: float, mean: float) -> SpliceScores:
        return SpliceScores(
            n_images=10,
            clean=TaskScores(top_1=0.8, cross_entropy=clean),
            spliced=TaskScores(top_1=0.5, cross_entropy=spliced),
            mean=TaskScores(top_1=0.1, cross_entropy=mean),
        )

    found = scores(0.5, 1.0, 2.5)
    assert found.top_1_change == pytest.approx(-0.3)
    assert found.cross_entropy_change == 0.5
    assert found.recovered == 0.75
    assert scores(0.5, 2.5, 2.5).recovered == 0
    assert math.isnan(scores(0.5, 0.7, 0.5).recovered)


def test_leaves_the_model_as_it_was_and_needs_an_image(tiny_vit, labelled_batches, make_sae):
    model = tiny_vit().train()
    splice_scores(model, make_sae(), SITES[0], labelled_batches(LABELS))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(ValueError, match="at least one image, got none"):
        splice_scores(model, make_sae(), SITES[0], [])
