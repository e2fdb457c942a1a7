import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seethrough.training.initialise import generator_for
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, top_k, unexplained_variance


def test_top_k_worked_by_hand() -> None:
    code = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
    assert top_k(code, 1).tolist() == [[3, 0, 0], [0, 0, 5]]
    assert top_k(code, 2).tolist() == [[3, 0, 2], [0, 0, 5]]


def test_top_k_wider_than_the_code_changes_nothing() -> None:
    code = torch.rand(4, 3, generator=generator_for(0))
    assert torch.equal(top_k(code, 3), code)
    assert torch.equal(top_k(code, 99), code)


def test_top_k_refuses_none() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        top_k(torch.ones(1, 3), 0)


@given(st.integers(1, 20), st.integers(0, 2**31))
def test_top_k_is_the_slow_selection(k: int, seed: int) -> None:
    code = torch.randn(5, 20, generator=generator_for(seed)).relu()
    for row, kept in zip(code, top_k(code, k), strict=True):
        threshold = sorted(row.tolist(), reverse=True)[k - 1]
        expected = torch.where(row >= threshold, row, 0.0)
        assert torch.equal(kept, expected)
        assert int((kept > 0).sum()) <= k


def test_ties_keep_exactly_k() -> None:
    assert int((top_k(torch.ones(2, 10), 4) > 0).sum()) == 8


def test_gradient_reaches_kept_units_only() -> None:
    code = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    top_k(code, 2).sum().backward()
    assert code.grad is not None
    assert code.grad.tolist() == [[1, 0, 1]]


def test_code_and_decoding_follow_the_equations() -> None:
    sae = SparseAutoencoder(3, 7, generator_for(1))
    with torch.no_grad():
        sae.b_pre += torch.tensor([0.5, -1.0, 2.0])
        sae.b_enc += torch.linspace(-1, 1, 7)
    inputs = torch.randn(4, 3, generator=generator_for(2))
    sae.requires_grad_(False)
    for x, code in zip(inputs, sae.relu_code(inputs), strict=True):
        by_hand = [max(0.0, float(sae.W_enc[m] @ (x - sae.b_pre) + sae.b_enc[m])) for m in range(7)]
        torch.testing.assert_close(code, torch.tensor(by_hand))
    code = torch.rand(4, 7, generator=generator_for(3))
    torch.testing.assert_close(sae.decode(code), code @ sae.W_dec + sae.b_pre)


def test_start_is_tied_and_then_free() -> None:
    sae = SparseAutoencoder(10, 20, generator_for(0))
    assert torch.equal(sae.W_enc, sae.W_dec)  # 2 x 10 / 20 = 1
    torch.testing.assert_close(sae.W_enc.norm(dim=1), torch.ones(20))
    sae.W_enc.data += 1
    assert not torch.equal(sae.W_enc, sae.W_dec)


@pytest.mark.parametrize(("d_input", "width"), [(10, 500), (10, 1000), (256, 1000)])
def test_untrained_dense_code_is_on_the_right_scale(d_input: int, width: int) -> None:
    sae = SparseAutoencoder(d_input, width, generator_for(0)).requires_grad_(False)
    inputs = torch.randn(50, d_input, generator=generator_for(1))
    gain = (sae.decode(sae.relu_code(inputs)) * inputs).sum() / inputs.square().sum()
    assert 0.8 < float(gain) < 1.25


def test_gradients_match_finite_differences() -> None:
    sae = SparseAutoencoder(4, 6, generator_for(5)).double()
    inputs = torch.randn(3, 4, generator=generator_for(6)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: sae.decode(top_k(sae.relu_code(x), 2)), inputs)


def test_unexplained_variance_worked_by_hand() -> None:
    # inputs 0 and 2: mean 1, total variance 1 + 1 = 2; errors 1 and 0: 1 / 2
    inputs = torch.tensor([[0.0], [2.0]])
    assert float(unexplained_variance(torch.tensor([[1.0], [2.0]]), inputs)) == 0.5
    assert float(unexplained_variance(inputs, inputs)) == 0
    assert float(unexplained_variance(torch.ones(2, 1), inputs)) == 1


def test_unexplained_variance_of_constant_inputs_is_finite() -> None:
    assert torch.isfinite(unexplained_variance(torch.zeros(3, 2), torch.ones(3, 2)))
