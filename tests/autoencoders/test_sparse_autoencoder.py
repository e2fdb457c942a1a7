import pytest
import torch
from torch import nn

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.sparse_autoencoder import (
    SparseAutoencoder,
    SparseOutput,
    unexplained_variance,
)
from seethrough.autoencoders.top_k import TopK, top_k
from seethrough.training.initialise import generator_for


def autoencoder(
    d_input: int, width: int, seed: int = 0, sparsifier: TopK | L1 | None = None
) -> SparseAutoencoder:
    module = (sparsifier or TopK()).module(width)
    return SparseAutoencoder(d_input, width, module, generator_for(seed))


def test_code_and_decoding_follow_the_equations() -> None:
    sae = autoencoder(3, 7, seed=1).requires_grad_(False)
    sae.b_pre += torch.tensor([0.5, -1.0, 2.0])
    sae.b_enc += torch.linspace(-1, 1, 7)
    inputs = torch.randn(4, 3, generator=generator_for(2))
    for x, code in zip(inputs, sae.relu_code(inputs), strict=True):
        by_hand = [max(0.0, float(sae.W_enc[m] @ (x - sae.b_pre) + sae.b_enc[m])) for m in range(7)]
        torch.testing.assert_close(code, torch.tensor(by_hand))
    code = torch.rand(4, 7, generator=generator_for(3))
    torch.testing.assert_close(sae.decode(code), code @ sae.W_dec + sae.b_pre)


def test_forward_worked_by_hand() -> None:
    """Units look along +x, -x and y; of (3, 1) fire the first with 3 and the third with 1."""
    sae = autoencoder(2, 3).requires_grad_(False)
    sae.W_enc.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))
    sae.W_dec.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0]]))
    output = sae(torch.tensor([[3.0, 1.0]]), 1.0)
    assert output.relu_code.tolist() == [[3, 0, 1]]
    assert output.code.tolist() == [[3, 0, 0]]
    assert output.reconstruction.tolist() == [[3, 0]]
    assert sae(torch.tensor([[3.0, 1.0]]), 2.0).reconstruction.tolist() == [[3, 2]]


@pytest.mark.parametrize("sparsifier", [TopK(start=5, end=2), L1(coefficient=1.0)])
def test_forward_is_its_parts(sparsifier: TopK | L1) -> None:
    sae = autoencoder(4, 9, sparsifier=sparsifier)
    inputs = torch.randn(6, 4, generator=generator_for(1), requires_grad=True)
    output = sae(inputs, 3.0)
    relu_code = sae.relu_code(inputs)
    code = sparsifier.module(9)(relu_code, 3.0)
    assert torch.equal(output.relu_code, relu_code)
    assert torch.equal(output.code, code)
    assert torch.equal(output.reconstruction, sae.decode(code))
    assert torch.equal(output.inputs, inputs)
    assert not output.inputs.requires_grad
    assert torch.equal(output.unexplained(), unexplained_variance(sae.decode(code), inputs))


def test_start_is_tied_and_then_free() -> None:
    sae = autoencoder(10, 20)
    assert torch.equal(sae.W_enc, sae.W_dec)  # 2 x 10 / 20 = 1
    torch.testing.assert_close(sae.W_enc.norm(dim=1), torch.ones(20))
    assert not sae.b_enc.any()
    assert not sae.b_pre.any()
    sae.W_enc.data += 1
    assert not torch.equal(sae.W_enc, sae.W_dec)


def test_decoder_rows_of_a_wide_dictionary_start_short() -> None:
    # 2 x 10 / 500 = 0.04; a narrow one keeps unit norm
    torch.testing.assert_close(autoencoder(10, 500).W_dec.norm(dim=1), torch.full((500,), 0.04))
    torch.testing.assert_close(autoencoder(10, 15).W_dec.norm(dim=1), torch.ones(15))


@pytest.mark.parametrize(("d_input", "width"), [(10, 500), (10, 1000), (256, 1000)])
def test_untrained_dense_code_is_on_the_right_scale(d_input: int, width: int) -> None:
    sae = autoencoder(d_input, width).requires_grad_(False)
    inputs = torch.randn(50, d_input, generator=generator_for(1))
    gain = (sae.decode(sae.relu_code(inputs)) * inputs).sum() / inputs.square().sum()
    assert 0.8 < float(gain) < 1.25


def test_start_comes_from_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, same, other = (autoencoder(3, 7, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one.W_enc, same.W_enc)
    assert not torch.equal(one.W_enc, other.W_enc)


def test_the_sparsifier_is_part_of_the_model() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.tensor(2.0))

        def forward(self, relu_code: torch.Tensor, level: float) -> torch.Tensor:
            return self.gain * level * relu_code

    sae = SparseAutoencoder(3, 7, Scaled(), generator_for(0))
    inputs = torch.randn(4, 3, generator=generator_for(1))
    assert "sparsifier.gain" in sae.state_dict()
    torch.testing.assert_close(sae(inputs, 5.0).code, 10 * sae.relu_code(inputs))


def test_gradients_match_finite_differences() -> None:
    sae = autoencoder(4, 6, seed=5).double()
    inputs = torch.randn(3, 4, generator=generator_for(6)).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: sae.decode(top_k(sae.relu_code(x), 2)), inputs)


def test_unexplained_variance_worked_by_hand() -> None:
    # inputs 0 and 2: mean 1, total variance 1 + 1 = 2; errors 1 and 0: 1 / 2
    inputs = torch.tensor([[0.0], [2.0]])
    assert float(unexplained_variance(torch.tensor([[1.0], [2.0]]), inputs)) == 0.5
    assert float(unexplained_variance(inputs, inputs)) == 0
    assert float(unexplained_variance(torch.ones(2, 1), inputs)) == 1


def test_unexplained_variance_does_not_depend_on_the_scale_or_the_origin() -> None:
    generator = generator_for(7)
    inputs, reconstruction = torch.randn(2, 8, 3, generator=generator).unbind(0)
    torch.testing.assert_close(
        unexplained_variance(7 * reconstruction + 5, 7 * inputs + 5),
        unexplained_variance(reconstruction, inputs),
    )


def test_unexplained_variance_gives_its_denominator_no_gradient() -> None:
    # d/dx of (0 - x)^2 + ... over a constant variance of 2: 2 (x - x_hat) / 2
    inputs = torch.tensor([[0.0], [2.0]], requires_grad=True)
    unexplained_variance(torch.tensor([[1.0], [2.0]]), inputs).backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert inputs.grad.tolist() == [[-1], [0]]


def test_unexplained_variance_of_constant_inputs_is_finite() -> None:
    assert torch.isfinite(unexplained_variance(torch.zeros(3, 2), torch.ones(3, 2)))


def test_an_output_measures_itself() -> None:
    # as worked by hand above
    empty = torch.zeros(2, 4)
    output = SparseOutput(torch.tensor([[0.0], [2.0]]), empty, empty, torch.tensor([[1.0], [2.0]]))
    assert float(output.unexplained()) == 0.5
