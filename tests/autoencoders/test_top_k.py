import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.autoencoders.top_k import TopK, top_k
from seethrough.training.initialise import generator_for


def test_worked_by_hand() -> None:
    code = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, 5.0]])
    assert top_k(code, 1).tolist() == [[3, 0, 0], [0, 0, 5]]
    assert top_k(code, 2).tolist() == [[3, 0, 2], [0, 0, 5]]


def test_wider_than_the_code_changes_nothing() -> None:
    code = torch.rand(4, 3, generator=generator_for(0))
    assert torch.equal(top_k(code, 3), code)
    assert torch.equal(top_k(code, 99), code)


def test_none_is_refused() -> None:
    with pytest.raises(ValueError, match="^k is 0, allowed is a count of at least 1$"):
        top_k(torch.ones(1, 3), 0)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(1, 25), st.integers(0, 2**31))
def test_the_slow_selection(k: int, seed: int) -> None:
    """Keeps what is at least the k-th largest entry, and never more than k positive ones."""
    code = torch.randn(5, 20, generator=generator_for(seed)).relu()
    for row, kept in zip(code, top_k(code, k), strict=True):
        threshold = sorted(row.tolist(), reverse=True)[min(k, 20) - 1]
        assert torch.equal(kept, torch.where(row >= threshold, row, 0.0))
        assert int((kept > 0).sum()) == min(k, int((row > 0).sum()))


def test_a_kept_zero_is_silent() -> None:
    """Two units of three fire; k asks for more than that and gets no third one."""
    code = torch.tensor([[2.0, 0.0, 1.0, 0.0, 0.0]])
    for k in (3, 4, 5):
        assert (top_k(code, k) > 0).tolist() == [[True, False, True, False, False]]


def test_ties_keep_exactly_k() -> None:
    assert (top_k(torch.ones(2, 10), 4) > 0).sum(1).tolist() == [4, 4]


def test_rows_do_not_depend_on_each_other() -> None:
    code = torch.rand(6, 9, generator=generator_for(1))
    alone = torch.cat([top_k(row, 3) for row in code.split(1)])
    assert torch.equal(top_k(code, 3), alone)


def test_columns_may_lie_apart_in_memory() -> None:
    code = torch.rand(9, 6, generator=generator_for(1)).T
    assert torch.equal(top_k(code, 3), top_k(code.contiguous(), 3))


def test_gradient_reaches_kept_units_only() -> None:
    code = torch.tensor([[3.0, 1.0, 2.0]], requires_grad=True)
    top_k(code, 2).sum().backward()
    assert code.grad is not None
    assert code.grad.tolist() == [[1, 0, 1]]


def test_no_input_gives_no_code() -> None:
    assert top_k(torch.zeros(0, 5), 2).shape == (0, 5)


def test_levels_worked_by_hand() -> None:
    # 500 to 50 over 4 epochs: steps of 450 / 3 = 150; cosine halfway: (500 + 50) / 2 = 275
    linear, cosine = TopK(), TopK(schedule="cosine")
    assert [linear.level(epoch, 4) for epoch in (1, 2, 3, 4, 5)] == [500, 350, 200, 50, 50]
    assert [cosine.level(epoch, 3) for epoch in (1, 2, 3)] == [500, 275, 50]
    assert [TopK(schedule="constant").level(epoch, 3) for epoch in (1, 2, 3)] == [50, 50, 50]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    shape=st.sampled_from(("linear", "cosine")),
    end=st.integers(1, 400),
    above=st.integers(0, 2000),
    epochs=st.integers(2, 80),
)
def test_levels_are_whole_and_fall_from_end_to_end(
    shape: str, end: int, above: int, epochs: int
) -> None:
    sparsifier = TopK(start=end + above, end=end, schedule=shape)
    levels = [sparsifier.level(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert levels == sorted(levels, reverse=True)
    assert (levels[0], levels[-1]) == (end + above, end)
    assert all(level == int(level) for level in levels)


def test_the_module_keeps_the_level_and_has_nothing_to_learn() -> None:
    module = TopK().module(width=7)
    code = torch.rand(4, 7, generator=generator_for(0))
    assert torch.equal(module(code, 3.0), top_k(code, 3))
    assert not list(module.parameters())
    assert not module.state_dict()


def test_the_count_costs_nothing() -> None:
    code = torch.rand(4, 7, generator=generator_for(0))
    penalty = TopK().penalty(code, torch.rand(7, 3, generator=generator_for(1)), 50.0)
    assert penalty.shape == ()
    assert float(penalty) == 0


def test_the_narrowest_dictionary_has_the_final_k() -> None:
    assert TopK(start=500, end=50).least_width() == 50


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"end": 0}, "k at the end is 0, allowed is a count of at least 1"),
        ({"end": -1}, "k at the end is -1, allowed is a count of at least 1"),
        ({"start": 49}, "k starts at 49, allowed is at least its end, 50"),
        ({"schedule": "step"}, "schedule is 'step', allowed are linear, cosine, constant"),
    ],
)
def test_wrong_values_are_named(change: dict[str, int | str], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}$"):
        TopK(**change)  # type: ignore[arg-type]
