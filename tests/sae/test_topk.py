"""TopK: a training pass by dense autograd, the same code at inference, and its limits."""

import pytest
import torch

from seethrough.sae.topk import TopK


def test_equals_dense_autograd(make_sae, sparse_inputs):
    inputs = sparse_inputs(20).double()
    sae = make_sae(6, 24, TopK(k=3), torch.float64)
    dictionary = sae.dictionary
    found = sae.rule.training_pass(dictionary, inputs)
    (found.reconstruction - inputs).square().mean().backward()
    sparse = [p.grad.clone() for p in dictionary.parameters()]
    sae.zero_grad()
    activations = ((inputs - dictionary.b_dec) @ dictionary.W_enc.T + dictionary.b_enc).relu()
    values, latents = activations.topk(3, dim=1)
    code = torch.zeros_like(activations).scatter(1, latents, values)
    reconstruction = code @ dictionary.W_dec + dictionary.b_dec
    (reconstruction - inputs).square().mean().backward()
    torch.testing.assert_close(found.reconstruction, reconstruction)
    assert torch.equal(found.fired, (code > 0).any(0))
    assert int(found.n_active) == int((code > 0).sum())
    for parameter, gradient in zip(dictionary.parameters(), sparse, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-10, atol=1e-12)
    encoded = sae.rule.encode(dictionary, inputs)
    torch.testing.assert_close(encoded.dense(), code.detach())
    assert not encoded.values.requires_grad


def test_fewer_positive_than_k_are_all_that_is_kept(make_sae):
    sae = make_sae(6, 8, TopK(k=8))
    code = sae.rule.encode(sae.dictionary, torch.randn(5, 6))
    assert (code.values > 0).all()
    assert int(code.row_counts().max()) <= 8


def test_refuses_counts_and_names():
    with pytest.raises(ValueError, match="k is 9, .* at most the dictionary's 8 latents"):
        TopK(k=9).rule(8)
    with pytest.raises(ValueError, match="k is 0, allowed is a count of at least 1"):
        TopK(k=0)
    with pytest.raises(ValueError, match="encoder_precision is 'int8'"):
        TopK(encoder_precision="int8")
