import pytest
import torch

from seethrough.autoencoders.principal_components import principal_components
from seethrough.training.initialise import generator_for


def test_worked_by_hand() -> None:
    # Points on the diagonal, +-1 along it around (3, 5), and +-1/2 across: variances 1/2 and 1/8.
    d, a = 2**-0.5, 2**-0.5 / 2
    points = torch.tensor([[3 + d, 5 + d], [3 - d, 5 - d], [3 + a, 5 - a], [3 - a, 5 + a]])
    found = principal_components(points)
    assert found.centre.tolist() == pytest.approx([3, 5])
    assert found.variances.tolist() == pytest.approx([0.5, 0.125])
    assert found.directions[0].tolist() == pytest.approx([d, d])
    assert abs(float(found.directions[1] @ torch.tensor([d, d], dtype=torch.float64))) < 1e-6


def test_directions_are_orthonormal_and_carry_their_variance() -> None:
    inputs = torch.randn(60, 8, generator=generator_for(0)) @ torch.diag(torch.arange(1.0, 9.0))
    found = principal_components(inputs)
    torch.testing.assert_close(
        found.directions @ found.directions.T, torch.eye(8, dtype=torch.float64)
    )
    along = (inputs.double() - found.centre) @ found.directions.T
    torch.testing.assert_close(along.var(0, correction=0), found.variances)
    assert found.variances.tolist() == sorted(found.variances.tolist(), reverse=True)
    assert bool((found.directions.amax(1) == found.directions.abs().amax(1)).all())


def test_how_many_hold_a_share() -> None:
    # variances 6, 3, 1 of 10: shares held 0.6, 0.9, 1
    inputs = torch.diag(torch.tensor([9.0, 4.5, 1.5]).sqrt())
    found = principal_components(torch.cat([inputs, -inputs]))
    assert found.variances.tolist() == pytest.approx([3.0, 1.5, 0.5])
    assert [found.n_holding(s) for s in (0.1, 0.59, 0.61, 0.89, 0.91, 1.0)] == [1, 1, 2, 2, 3, 3]


def test_inputs_that_do_not_vary_hold_everything_in_one() -> None:
    found = principal_components(torch.ones(5, 3))
    assert found.variances.tolist() == [0, 0, 0]
    assert found.n_holding(0.99) == 1


@pytest.mark.parametrize("share", [0.0, 1.1])
def test_a_wrong_share_is_named(share: float) -> None:
    with pytest.raises(ValueError, match=f"share is {share}, allowed is above 0 and at most 1"):
        principal_components(torch.eye(3)).n_holding(share)


def test_no_inputs_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one input, got none"):
        principal_components(torch.zeros(0, 3))
