import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seethrough.training.history import History

NAMES = ("level", "active", "mig_code")
NUMBERS = st.floats(allow_nan=False)


def units(relu: list[int], fired: list[int], largest: list[float]) -> dict[str, Tensor]:
    return {
        "units/relu_count": torch.tensor(relu),
        "units/fired_count": torch.tensor(fired),
        "units/max_activation": torch.tensor(largest),
    }


def same_numbers(one: dict[str, list[float]], other: dict[str, list[float]]) -> bool:
    """NaN is the same as NaN here."""
    return repr(sorted(one.items())) == repr(sorted(other.items()))


def test_a_scalar_that_was_not_measured_is_nan() -> None:
    """Scores come in epochs 2 and 3, the level goes missing in epoch 3."""
    history = History(20)
    history.append({"level": 30.0}, {})
    history.append({"level": 17.0, "mig_code": 0.5}, {})
    history.append({"mig_code": 0.25}, {})
    nan = math.nan
    expected = {"level": [30.0, 17.0, nan], "mig_code": [nan, 0.5, 0.25]}
    assert history.epochs == 3
    assert same_numbers(history.scalars, expected)


def test_measured_gives_epochs_from_one() -> None:
    history = History(20, {"mig_code": [math.nan, 0.5, math.nan, 0.0]})
    assert history.measured("mig_code") == ([2, 4], [0.5, 0.0])


def test_a_new_history_has_no_epoch() -> None:
    assert History(20).epochs == 0


def test_tensors_are_kept_for_the_epochs_that_bring_them() -> None:
    history = History(20)
    history.append({"level": 1.0}, {"pictures/own": torch.zeros(2)})
    history.append({"level": 1.0}, {})
    history.append({"level": 1.0}, {"pictures/own": torch.ones(2)})
    assert [t.tolist() for t in history.tensors["pictures/own"]] == [[0, 0], [1, 1]]


def test_activity_counts_epochs_from_one() -> None:
    history = History(20)
    history.append({}, units([5, 7], [4, 0], [1.5, 0.0]))
    history.append({}, units([6, 8], [3, 1], [2.5, 0.5]))
    first, last = history.activity(1), history.activity(-1)
    assert first.n_images == 20
    assert first.relu_count.tolist() == [5, 7]
    assert first.fired_count.tolist() == [4, 0]
    assert first.max_activation.tolist() == [1.5, 0.0]
    assert last.fired_count.tolist() == history.activity(2).fired_count.tolist() == [3, 1]
    for epoch in (3, 0, -3):
        with pytest.raises(ValueError, match=f"^epoch is {epoch}, allowed is 1 to 2, or -1"):
            history.activity(epoch)


def test_nothing_appended_later_changes_what_was_measured() -> None:
    history = History(20)
    history.append({"level": 1.0}, units([1], [1], [1.0]))
    before = history.state()
    history.append({"level": 2.0}, units([9], [9], [9.0]))
    assert torch.equal(before["units/relu_count"], torch.tensor([[1]]))
    assert before["scalars/level"].tolist() == [1.0]


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), NUMBERS), min_size=1, max_size=6))
def test_the_state_gives_the_history_back(epochs: list[dict[str, float]]) -> None:
    history = History(20)
    for number, scalars in enumerate(epochs):
        history.append({"epoch": float(number)} | scalars, units([number], [0], [0.5 * number]))
    state = history.state()
    again = History.from_state(state)
    assert all(tensor.is_contiguous() for tensor in state.values())
    assert (again.n_heldout, again.epochs) == (20, len(epochs))
    assert same_numbers(again.scalars, history.scalars)
    assert again.tensors.keys() == history.tensors.keys()
    for name, per_epoch in history.tensors.items():
        assert all(map(torch.equal, again.tensors[name], per_epoch))


def test_a_history_that_came_back_goes_on() -> None:
    history = History(20)
    history.append({"level": 1.0}, units([1], [1], [1.0]))
    again = History.from_state(history.state())
    for one in (history, again):
        one.append({"level": 2.0, "mig_code": 0.5}, units([2], [2], [2.0]))
    assert same_numbers(history.scalars, again.scalars)
    assert torch.equal(history.state()["units/relu_count"], again.state()["units/relu_count"])


def test_an_empty_history_comes_back_empty() -> None:
    again = History.from_state(History(20).state())
    assert (again.n_heldout, again.epochs, again.scalars, again.tensors) == (20, 0, {}, {})
