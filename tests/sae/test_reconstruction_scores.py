"""Reconstruction scores: by hand, in any batches, and on inputs without variance."""

import importlib
import math

import pytest
import torch

from seethrough.sae.l1 import L1
from seethrough.sae.reconstruction_scores import reconstruction_scores

module = importlib.import_module("seethrough.sae.reconstruction_scores")


@pytest.fixture
def by_hand(make_sae):
    """Three latents, the third never active; x_hat = ReLU(x)."""
    sae = make_sae(2, 3, L1(coefficient=0.0))
    with torch.no_grad():
        for weights in (sae.dictionary.W_enc, sae.dictionary.W_dec):
            weights.copy_(torch.tensor([[1.0, 0], [0, 1], [0, 0]]))
        for bias in (sae.dictionary.b_enc, sae.dictionary.b_dec, sae.standardisation.mean):
            bias.zero_()
        sae.standardisation.scale.fill_(1.0)
    return sae


def test_scores_by_hand(by_hand):
    # x_hat: (3, 0), (0, 1), (0, 0); squared errors 1, 1 and 0 + 0. Mean (2/3, 0): deviations
    # squared 49/9 + 1, 25/9 + 1 ... written out: x = (3, -1), (-1, 1), (0, 0).
    inputs = torch.tensor([[3.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])
    scores = reconstruction_scores(by_hand, inputs)
    variance = 49 / 9 + 25 / 9 + 4 / 9 + 1 + 1
    assert scores.fve == pytest.approx(1 - 2 / variance)
    assert scores.nmse == pytest.approx(2 / variance)
    assert scores.l0 == pytest.approx(2 / 3)
    assert (scores.n_inputs, scores.width, scores.n_active, scores.n_dead) == (3, 3, 2, 1)


def test_batches_make_no_difference(make_sae, sparse_inputs, monkeypatch):
    sae, inputs = make_sae(6, 24), sparse_inputs(20)
    expected = reconstruction_scores(sae, inputs)
    monkeypatch.setattr(module, "BATCH", 7)
    found = reconstruction_scores(sae, inputs)
    assert found.fve == pytest.approx(expected.fve, rel=1e-6)
    assert (found.l0, found.n_active) == (expected.l0, expected.n_active)


def test_the_mean_as_reconstruction_explains_nothing(by_hand):
    inputs = -1 - torch.rand(20, 2)  # no latent is active, so x_hat is the bias
    with torch.no_grad():
        by_hand.dictionary.b_dec.copy_(inputs.mean(0))
        by_hand.dictionary.b_enc.fill_(-10.0)
    scores = reconstruction_scores(by_hand, inputs)
    assert scores.fve == pytest.approx(0, abs=1e-5)
    assert (scores.l0, scores.n_dead) == (0, 3)


def test_inputs_without_variance_have_no_share_of_it(by_hand):
    assert math.isnan(reconstruction_scores(by_hand, torch.full((3, 2), 0.1)).fve)


def test_refuses_no_inputs_and_nan(by_hand):
    with pytest.raises(ValueError, match="at least one input, got none"):
        reconstruction_scores(by_hand, torch.empty(0, 2))
    with pytest.raises(ValueError, match="NaN"):
        reconstruction_scores(by_hand, torch.tensor([[1.0, torch.nan]]))
