"""AuxK: its loss by the definition, its gradients on dead latents alone, and its limits."""

import pytest
import torch

from seethrough.sae.auxk import AuxK


def slow_loss(dictionary, inputs, reconstruction, dead, k_aux, weight):
    """Return the loss by the definition, with dense codes."""
    residual = (inputs - reconstruction).detach()
    activations = dictionary.pre_activations(inputs).relu() * dead
    values, latents = activations.topk(k_aux, dim=1)
    code = torch.zeros_like(activations).scatter(1, latents, values)
    answer = code @ dictionary.W_dec
    return weight * (answer - residual).square().sum() / residual.square().sum()


@pytest.mark.parametrize(("k_aux", "expected"), [(2, 2), (None, 3), (20, 9)])
def test_equals_the_definition(make_sae, sparse_inputs, k_aux, expected):
    dictionary, inputs = make_sae(6, 24, dtype=torch.float64).dictionary, sparse_inputs(20).double()
    dead = torch.arange(24) % 3 == 1  # 8 of them
    dead[0] = True
    reconstruction = inputs.roll(1, dims=0).requires_grad_()
    loss = AuxK(k_aux=k_aux, weight=0.25).loss(dictionary, inputs, reconstruction, dead)
    loss.backward()
    found = [p.grad.clone() for p in dictionary.parameters()]
    assert reconstruction.grad is None
    dictionary.zero_grad()
    slow = slow_loss(dictionary, inputs, reconstruction, dead, expected, 0.25)
    slow.backward()
    torch.testing.assert_close(loss, slow)
    for parameter, gradient in zip(dictionary.parameters(), found, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-12)
    assert not found[0][~dead].any()
    assert not found[2][~dead].any()


def test_no_dead_latent_costs_nothing(make_sae, sparse_inputs):
    dictionary, inputs = make_sae(6, 24).dictionary, sparse_inputs(4)
    dead = torch.zeros(24, dtype=torch.bool)
    assert float(AuxK().loss(dictionary, inputs, torch.zeros(4, 6), dead)) == 0


def test_no_residual_costs_nothing_and_has_no_gradient(make_sae, sparse_inputs):
    dictionary, inputs = make_sae(6, 24).dictionary, sparse_inputs(4)
    loss = AuxK().loss(dictionary, inputs, inputs.clone(), torch.ones(24, dtype=torch.bool))
    loss.backward()
    assert float(loss.detach()) == 0
    assert all(not p.grad.any() for p in dictionary.parameters() if p.grad is not None)


def test_half_of_one_feature_is_still_one_latent(make_sae):
    dictionary = make_sae(1, 4).dictionary
    dead = torch.ones(4, dtype=torch.bool)
    assert AuxK().loss(dictionary, torch.ones(3, 1), torch.zeros(3, 1), dead).isfinite()


def test_refuses_what_makes_no_sense():
    with pytest.raises(ValueError, match="k_aux is 0, allowed is a count of at least 1, or None"):
        AuxK(k_aux=0)
    with pytest.raises(ValueError, match="weight is 0.0, allowed is a finite number above 0"):
        AuxK(weight=0.0)
