import pytest
import torch
from torch import Tensor

from seethrough.autoencoders.no_centring import IdentityMap
from seethrough.autoencoders.whitening import Whitening
from seethrough.training.initialise import generator_for


@pytest.fixture
def inputs() -> Tensor:
    """Correlated inputs with a mean, in 6 dimensions of which one hardly varies."""
    generator = generator_for(2)
    mix = torch.randn(6, 6, generator=generator) * torch.tensor([3.0, 2.0, 1.0, 1.0, 0.5, 0.01])
    return 5 + torch.randn(400, 6, generator=generator) @ mix.T


def whitened_map(inputs: Tensor, floor: float = 0.01) -> IdentityMap:
    method = Whitening(floor=floor)
    found = method.input_map(inputs.shape[1])
    method.begin(found, torch.zeros(inputs.shape[1]), inputs)
    return found


def test_whitened_inputs_have_mean_0_and_no_correlation(inputs: Tensor) -> None:
    white = whitened_map(inputs, floor=1e-9)(inputs).double()
    torch.testing.assert_close(white.mean(0), torch.zeros(6).double(), atol=1e-3, rtol=0)
    covariance = white.T @ white / len(white)
    torch.testing.assert_close(covariance, torch.eye(6).double(), atol=1e-2, rtol=0)


def test_the_floor_spares_directions_that_hardly_vary(inputs: Tensor) -> None:
    """Variance v becomes v / (v + floor x mean variance)."""
    variances = torch.linalg.eigvalsh(torch.cov(inputs.T, correction=0).double())
    expected = variances / (variances + 0.01 * variances.mean())
    found = whitened_map(inputs)(inputs).double().var(0, correction=0)
    torch.testing.assert_close(found.flip(0), expected, rtol=1e-3, atol=1e-4)
    assert float(found[-1]) < 0.5


def test_back_undoes_it(inputs: Tensor) -> None:
    found = whitened_map(inputs)
    torch.testing.assert_close(found.back(found(inputs)), inputs, rtol=1e-4, atol=1e-4)
    steps = found(inputs[1:]) - found(inputs[:-1])
    torch.testing.assert_close(
        found.back_direction(steps), inputs[1:] - inputs[:-1], rtol=1e-3, atol=1e-3
    )


def test_an_unset_map_is_the_identity(inputs: Tensor) -> None:
    fresh = Whitening().input_map(6)
    torch.testing.assert_close(fresh(inputs), inputs)
    torch.testing.assert_close(fresh.back(inputs), inputs)


def test_inputs_that_do_not_vary_are_only_centred() -> None:
    found = whitened_map(torch.full((4, 3), 2.0))
    assert found(torch.full((1, 3), 2.0)).abs().max() == 0
    assert bool(found(torch.randn(5, 3, generator=generator_for(0))).isfinite().all())


@pytest.mark.parametrize("floor", [0.0, -1.0, float("inf")])
def test_a_wrong_floor_is_named(floor: float) -> None:
    with pytest.raises(ValueError, match=f"floor is {floor}, allowed is a number above 0"):
        Whitening(floor=floor)
