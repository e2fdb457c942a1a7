"""JumpReLU: thresholds from the untrained codes, codes above them, gradients that reach them."""

import pytest
import torch

from seethrough.sae.jump_relu import JumpReLU


def test_thresholds_start_at_a_share_of_the_mean_positive_activation(make_sae):
    sae = make_sae(2, 3, JumpReLU(k=1, first_threshold=0.5, bandwidth=2.0))
    with torch.no_grad():
        sae.dictionary.W_enc.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
        sae.dictionary.b_enc.zero_()
        sae.dictionary.b_dec.zero_()
    sae.rule.begin(sae.dictionary, torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
    # positive activations 1, 2 and 2: mean 5 / 3
    torch.testing.assert_close(sae.rule.threshold, torch.full((3,), 5 / 6))
    assert float(sae.rule.jump.window) == pytest.approx(10 / 3)


def test_training_and_inference_give_the_same_codes(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24, JumpReLU(k=3)), sparse_inputs(20)
    activations = sae.dictionary.pre_activations(inputs)
    expected = torch.where(activations > sae.rule.threshold, activations, 0.0).detach()
    found = sae.rule.training_pass(sae.dictionary, inputs)
    torch.testing.assert_close(found.reconstruction, sae.dictionary.decode(expected))
    assert int(found.n_active) == int((expected > 0).sum())
    encoded = sae.rule.encode(sae.dictionary, inputs)
    assert torch.equal(encoded.dense(), expected)
    assert not encoded.values.requires_grad


def test_too_many_active_latents_raise_thresholds(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24, JumpReLU(k=1, bandwidth=3.0)), sparse_inputs(20)
    sae.rule.begin(sae.dictionary, inputs)
    found = sae.rule.training_pass(sae.dictionary, inputs)
    assert int(found.n_active) > 20
    # (L0 / k - 1)^2
    assert float(found.penalty.detach()) == pytest.approx(
        (int(found.n_active) / 20 - 1) ** 2, rel=1e-5
    )
    found.penalty.backward()
    gradient = sae.rule.jump.log_threshold.grad
    assert bool((gradient <= 0).all())
    assert bool((gradient < 0).any())
    assert sae.dictionary.W_enc.grad is None  # the count moves thresholds alone


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="k is 9, .* at most the dictionary's 8 latents"):
        JumpReLU(k=9).rule(8)
    with pytest.raises(ValueError, match="k is 0"):
        JumpReLU(k=0)
    with pytest.raises(ValueError, match="weight is -1.0, allowed is at least 0"):
        JumpReLU(weight=-1.0)
    for name in ("first_threshold", "bandwidth", "threshold_speed"):
        with pytest.raises(ValueError, match=f"{name} is 0.0, allowed is a finite number above 0"):
            JumpReLU(**{name: 0.0})
