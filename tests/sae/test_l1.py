"""L1: its penalty by hand and its codes."""

import pytest
import torch

from seethrough.sae.l1 import L1


def test_the_penalty_by_hand(make_sae):
    sae = make_sae(2, 3, L1(coefficient=0.5))
    with torch.no_grad():
        sae.dictionary.W_enc.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
        sae.dictionary.b_enc.zero_()
        sae.dictionary.b_dec.zero_()
    # Codes (1, 0, 0) and (0, 2, 2): sums 1 and 4, mean 2.5, half of it 1.25.
    found = sae.rule.training_pass(sae.dictionary, torch.tensor([[1.0, -1.0], [0.0, 2.0]]))
    assert float(found.penalty.detach()) == 1.25
    assert found.fired.tolist() == [True, True, True]
    assert int(found.n_active) == 3
    code = torch.tensor([[1.0, 0, 0], [0, 2, 2]])
    torch.testing.assert_close(found.reconstruction, code @ sae.dictionary.W_dec)
    found.penalty.backward()
    # every active code costs 0.25; the first latent was active on the first input alone
    assert sae.dictionary.W_enc.grad.tolist() == [[0.25, -0.25], [0, 0.5], [0, 0.5]]


def test_the_code_at_inference_is_the_relu(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24, L1(coefficient=0.1)), sparse_inputs(20)
    expected = sae.dictionary.pre_activations(inputs).relu()
    assert torch.equal(sae.rule.encode(sae.dictionary, inputs).dense(), expected)


def test_refuses_a_negative_price():
    with pytest.raises(ValueError, match="coefficient is -1.0, allowed is at least 0"):
        L1(coefficient=-1.0)
