"""BatchTopK: a training step by dense autograd, the running threshold, and its limits."""

import pytest
import torch

from seethrough.sae.batch_topk import BatchTopK, BatchTopKRule
from seethrough.sae.dictionary import Dictionary


def dense_pass(dictionary: Dictionary, inputs: torch.Tensor, k: int):
    """Return reconstruction and code by the definition, all zeros written out."""
    activations = ((inputs - dictionary.b_dec) @ dictionary.W_enc.T + dictionary.b_enc).relu()
    flat = activations.flatten()
    kept = flat.topk(k * len(inputs)).indices
    code = torch.zeros_like(flat).scatter(0, kept, flat[kept]).view_as(activations)
    return code @ dictionary.W_dec + dictionary.b_dec, code


def test_gradients_equal_dense_autograd(make_sae, sparse_inputs):
    inputs = sparse_inputs(20).double()
    sae = make_sae(6, 24, BatchTopK(k=3), torch.float64)
    gradients = []
    for sparse in (True, False):
        sae.zero_grad()
        if sparse:
            found = sae.rule.training_pass(sae.dictionary, inputs)
            reconstruction = found.reconstruction
        else:
            reconstruction, code = dense_pass(sae.dictionary, inputs, 3)
            assert torch.equal(found.fired, (code > 0).any(0))
            assert int(found.n_active) == int((code > 0).sum()) == 60
            assert float(found.penalty.detach()) == 0
            torch.testing.assert_close(found.reconstruction, reconstruction)
        (reconstruction - inputs).square().mean().backward()
        gradients.append([p.grad.clone() for p in sae.dictionary.parameters()])
    for sparse, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(sparse, dense, rtol=1e-10, atol=1e-12)


def observed(decay: float, batches: list[list[float]]) -> tuple[float, int]:
    """Return the threshold after batches of these activations of a dictionary of two latents."""
    rule = BatchTopK(k=1, threshold_decay=decay).rule(2)
    dictionary = Dictionary(2, 2, torch.Generator())
    with torch.no_grad():
        for weights in (dictionary.W_enc, dictionary.W_dec):
            weights.copy_(torch.eye(2))
    for batch in batches:
        rule.training_pass(dictionary, torch.tensor(batch).view(-1, 2))
    return float(rule.threshold), int(rule.n_batches)


def test_the_threshold_by_hand():
    # Of two inputs two activations stay. Smallest ones kept: 3, then 5, then 1.
    batches = [[4.0, 3.0, 2.0, 1.0], [5.0, -1.0, 0.5, 6.0], [1.0, 0.5, 8.0, 0.0]]
    assert observed(0.99, batches) == (pytest.approx(3.0), 3)  # (3 + 5 + 1) / 3
    # weights max(1, 0.5), max(1/2, 0.5), max(1/3, 0.5): 3, 4, 4 + (1 - 4) / 2
    assert observed(0.5, batches) == (pytest.approx(2.5), 3)
    assert observed(0.0, batches) == (pytest.approx(1.0), 3)


def test_a_silent_batch_leaves_the_threshold():
    silent = [-1.0, -2.0, -3.0, -4.0]
    assert observed(0.99, [[4.0, 3.0, 2.0, 1.0], silent]) == (3.0, 1)
    assert observed(0.99, [silent]) == (0.0, 0)


def test_a_silent_batch_reconstructs_by_the_bias_alone(make_sae):
    sae = make_sae(6, 24, BatchTopK(k=3))
    with torch.no_grad():
        sae.dictionary.b_enc.fill_(-1e3)
    found = sae.rule.training_pass(sae.dictionary, torch.randn(4, 6))
    found.reconstruction.square().sum().backward()
    assert torch.equal(found.reconstruction, sae.dictionary.b_dec.expand(4, 6))
    assert not found.fired.any()
    assert int(found.n_active) == 0
    torch.testing.assert_close(sae.dictionary.b_dec.grad, 8 * sae.dictionary.b_dec.detach())
    for name in ("W_enc", "b_enc", "W_dec"):
        assert not getattr(sae.dictionary, name).grad.any()


def test_at_inference_the_threshold_decides(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24, BatchTopK(k=3)), sparse_inputs(20)
    activations = sae.dictionary.pre_activations(inputs)
    expected = torch.where(activations > 0.4, activations, 0.0)
    assert torch.equal(sae.rule.encode(sae.dictionary, inputs).dense(), expected)
    # one input does not depend on the others
    alone = sae.rule.encode(sae.dictionary, inputs[3:4]).dense()
    torch.testing.assert_close(alone[0], expected[3])


def test_the_encoder_in_half_precision_keeps_gradients_in_full(make_sae, sparse_inputs):
    inputs = sparse_inputs(20)
    sae = make_sae(6, 24, BatchTopK(k=3, encoder_precision="bfloat16"))
    found = sae.rule.training_pass(sae.dictionary, inputs)
    full = make_sae(6, 24, BatchTopK(k=3))
    exact = full.rule.training_pass(full.dictionary, inputs).reconstruction
    assert found.reconstruction.dtype == torch.float32
    assert not torch.equal(found.reconstruction, exact)
    assert float(((found.reconstruction - exact).norm() / exact.norm()).detach()) < 0.2
    found.reconstruction.square().sum().backward()
    assert sae.dictionary.W_enc.grad.dtype == torch.float32


def test_nan_is_refused(make_sae):
    sae = make_sae(6, 24, BatchTopK(k=3))
    inputs = torch.full((2, 6), torch.nan)
    for encode in (sae.rule.training_pass, sae.rule.encode):
        with pytest.raises(ValueError, match="NaN"):
            encode(sae.dictionary, inputs)


def test_refuses_counts_and_names():
    assert isinstance(BatchTopK(k=8).rule(8), BatchTopKRule)
    with pytest.raises(ValueError, match="k is 9, .* at most the dictionary's 8 latents"):
        BatchTopK(k=9).rule(8)
    with pytest.raises(ValueError, match="k is 0, allowed is a count of at least 1"):
        BatchTopK(k=0)
    with pytest.raises(ValueError, match="threshold_decay is 1.0, allowed is 0 to below 1"):
        BatchTopK(threshold_decay=1.0)
    with pytest.raises(ValueError, match="encoder_precision is 'int8', allowed are float32, bf"):
        BatchTopK(encoder_precision="int8")
