import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.autoencoders.l1 import L1
from seethrough.training.initialise import generator_for


def test_penalty_worked_by_hand() -> None:
    # decoder rows of norm 5 and 2; inputs cost 1 x 5 + 0 x 2 = 5 and 3 x 5 + 2 x 2 = 19
    code = torch.tensor([[1.0, 0.0], [3.0, 2.0]])
    W_dec = torch.tensor([[-3.0, 4.0], [0.0, -2.0]])
    assert float(L1(coefficient=1.0).penalty(code, W_dec, 0.5)) == 0.5 * (5 + 19) / 2


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(0, 2**31), st.floats(0, 10))
def test_penalty_is_the_slow_sum(seed: int, level: float) -> None:
    generator = generator_for(seed)
    code = torch.randn(3, 5, generator=generator).relu()
    W_dec = torch.randn(5, 4, generator=generator)
    by_hand = 0.0
    for z in code:
        for m, w in enumerate(W_dec):
            by_hand += level * float(z[m]) * math.sqrt(sum(float(x) ** 2 for x in w)) / 3
    assert float(L1(coefficient=1.0).penalty(code, W_dec, level)) == pytest.approx(
        by_hand, rel=1e-5
    )


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.floats(1e-3, 1e3))
def test_small_codes_with_large_decoder_rows_gain_nothing(scale: float) -> None:
    generator = generator_for(0)
    code = torch.rand(6, 5, generator=generator)
    W_dec = torch.randn(5, 4, generator=generator)
    sparsifier = L1(coefficient=1.0)
    torch.testing.assert_close(
        sparsifier.penalty(scale * code, W_dec / scale, 0.3), sparsifier.penalty(code, W_dec, 0.3)
    )


def test_gradients_match_finite_differences() -> None:
    generator = generator_for(1)
    code = torch.rand(3, 5, generator=generator).double().requires_grad_()
    W_dec = torch.randn(5, 4, generator=generator).double().requires_grad_()
    sparsifier = L1(coefficient=1.0)
    assert torch.autograd.gradcheck(lambda z, w: sparsifier.penalty(z, w, 0.7), (code, W_dec))


def test_a_silent_unit_with_an_empty_row_has_a_finite_gradient() -> None:
    W_dec = torch.zeros(2, 3, requires_grad=True)
    L1(coefficient=1.0).penalty(torch.zeros(4, 2), W_dec, 1.0).backward()  # type: ignore[no-untyped-call]
    assert W_dec.grad is not None
    assert W_dec.grad.isfinite().all()


def test_levels_worked_by_hand() -> None:
    # from 0 to 0.6 over 4 epochs in steps of 0.2; cosine halfway: 0.3
    linear = L1(coefficient=0.6)
    cosine = L1(coefficient=0.6, schedule="cosine")
    constant = L1(coefficient=0.6, schedule="constant")
    levels = [linear.level(epoch, 4) for epoch in (1, 2, 3, 4, 5, 100)]
    assert levels == pytest.approx([0, 0.2, 0.4, 0.6, 0.6, 0.6])
    assert [cosine.level(epoch, 3) for epoch in (1, 2, 3)] == pytest.approx([0, 0.3, 0.6])
    assert [constant.level(epoch, 3) for epoch in (1, 2, 3)] == [0.6, 0.6, 0.6]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.sampled_from(("linear", "cosine")), st.floats(0, 1e6), st.integers(2, 60))
def test_levels_rise_from_0_to_the_coefficient(shape: str, coefficient: float, epochs: int) -> None:
    sparsifier = L1(coefficient=coefficient, schedule=shape)
    levels = [sparsifier.level(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert (levels[0], levels[-1]) == (0, coefficient)
    assert levels == sorted(levels)


def test_the_code_stays_as_it_is() -> None:
    module = L1(coefficient=1.0).module(width=7)
    code = torch.rand(4, 7, generator=generator_for(0))
    assert torch.equal(module(code, 0.5), code)
    assert not module.state_dict()


def test_no_count_is_enforced() -> None:
    assert L1(coefficient=1.0).least_width() == 1


@pytest.mark.parametrize("coefficient", [-1e-9, math.nan, math.inf])
def test_wrong_coefficients_are_named(coefficient: float) -> None:
    with pytest.raises(
        ValueError, match=f"^coefficient is {coefficient}, allowed is a number from 0$"
    ):
        L1(coefficient=coefficient)


def test_a_wrong_schedule_is_named() -> None:
    with pytest.raises(ValueError, match="^schedule is 'step', allowed are linear"):
        L1(coefficient=1.0, schedule="step")
