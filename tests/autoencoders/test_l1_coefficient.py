import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.autoencoders.l1_coefficient import (
    CoefficientSearchError,
    Trial,
    find_coefficient,
)


def power_law(scale: float, exponent: float) -> Callable[[float], float]:
    return lambda coefficient: scale * coefficient**-exponent


def staircase(coefficient: float) -> float:
    """Whole counts, as an image has: 500 units up to coefficient 1, none from e^6 on."""
    return float(min(500, max(0, round(500 - 500 * math.log(max(coefficient, 1e-12)) / 6))))


def test_a_lucky_first_guess_ends_the_search() -> None:
    assert find_coefficient(power_law(100, 1), 50.0, 0.5, first=2.0) == [Trial(2.0, 50.0)]


def test_steps_worked_by_hand() -> None:
    """Active = 100 / coefficient, target 5, first guess 1.

    Too many are active at 1 (100), 4 (25) and 16 (6.25), too few at 64 (1.5625). A power law is a
    straight line in log-log coordinates, so the line from 16 to 64 meets the target where the
    curve does: at 20, after log(6.25 / 5) / log(4) = 0.16 of the way.
    """
    trials = find_coefficient(power_law(100, 1), 5.0, 1e-6, first=1.0)
    assert [trial.coefficient for trial in trials] == pytest.approx([1, 4, 16, 64, 20])
    assert [trial.active for trial in trials] == pytest.approx([100, 25, 6.25, 1.5625, 5])


def test_the_bracket_moves_down_too() -> None:
    trials = find_coefficient(power_law(100, 1), 5.0, 1e-6, first=320.0)
    assert [trial.coefficient for trial in trials] == pytest.approx([320, 80, 20])


def test_a_guess_stays_a_tenth_away_from_the_brackets_ends() -> None:
    # counts 100 at 1 and 99 at 4, target 99.99: the straight line meets it at a share of 0.01
    measured = {1.0: 100.0, 4.0: 99.0}

    def measure(coefficient: float) -> float:
        return measured.get(coefficient, 99.99)

    trials = find_coefficient(measure, 99.99, 1e-3, first=1.0)
    assert trials[-1].coefficient == pytest.approx(4**0.1)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    scale=st.floats(1, 1e4),
    exponent=st.floats(0.3, 3),
    share=st.floats(0.02, 50),
    first=st.floats(1e-3, 1e3),
)
def test_falling_counts_are_found(
    scale: float, exponent: float, share: float, first: float
) -> None:
    measure, target = power_law(scale, exponent), scale * share
    trials = find_coefficient(measure, target, 0.01 * target, first, most_trials=40)
    assert abs(trials[-1].active - target) <= 0.01 * target
    assert all(trial.active == measure(trial.coefficient) for trial in trials)
    assert all(abs(trial.active - target) > 0.01 * target for trial in trials[:-1])


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.floats(1, 499), st.floats(1e-4, 1e4))
def test_a_staircase_with_flat_ends_is_found(target: float, first: float) -> None:
    trials = find_coefficient(staircase, target, 1.0, first, most_trials=40)
    assert abs(trials[-1].active - target) <= 1.0


def test_a_count_of_0_has_no_logarithm_and_does_not_stop_the_search() -> None:
    trials = find_coefficient(staircase, 10.0, 1.0, first=1e6)
    assert 0.0 in [trial.active for trial in trials]
    assert abs(trials[-1].active - 10) <= 1.0


def test_a_target_above_what_no_penalty_gives_is_out_of_reach() -> None:
    """100 units at most, however small the coefficient: every guess is a quarter of the last."""
    tried: list[float] = []

    def measure(coefficient: float) -> float:
        tried.append(coefficient)
        return 100 / (1 + coefficient)

    with pytest.raises(CoefficientSearchError) as caught:
        find_coefficient(measure, 200.0, 5.0, first=1.0, most_trials=4)
    assert tried == [1, 0.25, 0.0625, 0.015625]
    assert str(caught.value) == (
        "no coefficient gave 200 ± 5 active units; "
        "tried 1: 50.0, 0.25: 80.0, 0.0625: 94.1, 0.0156: 98.5"
    )


def test_a_target_below_the_floor_is_out_of_reach() -> None:
    """30 units at least, however large the coefficient: every guess is four times the last."""
    tried: list[float] = []

    def measure(coefficient: float) -> float:
        tried.append(coefficient)
        return 30 + 10 / coefficient

    with pytest.raises(CoefficientSearchError, match=r"no coefficient gave 20 ± 1 .*1: 40\.0, 4: "):
        find_coefficient(measure, 20.0, 1.0, first=1.0)
    assert tried == [4.0**n for n in range(16)]


def test_a_jump_over_the_target_ends_without_an_answer() -> None:
    with pytest.raises(CoefficientSearchError, match="no coefficient gave 50 ± 1"):
        find_coefficient(lambda c: 100.0 if c < 3 else 10.0, 50.0, 1.0, first=1.0)


def test_a_count_that_rises_is_refused() -> None:
    with pytest.raises(CoefficientSearchError) as caught:
        find_coefficient(lambda c: 10 * c, 5.0, 0.5, first=1.0)
    assert str(caught.value) == (
        "the active count must not rise with the coefficient; tried 1: 10.0, 4: 40.0"
    )


def test_a_rise_within_the_tolerance_is_noise() -> None:
    measured = {1.0: 100.0, 4.0: 104.0, 16.0: 50.0}
    assert find_coefficient(measured.__getitem__, 50.0, 5.0, first=1.0)[-1] == Trial(16.0, 50.0)
    with pytest.raises(CoefficientSearchError, match="must not rise"):
        find_coefficient(measured.__getitem__, 50.0, 3.0, first=1.0)


@pytest.mark.parametrize("count", [math.nan, math.inf])
def test_a_count_that_is_no_number_is_refused(count: float) -> None:
    with pytest.raises(CoefficientSearchError, match=rf"^{count} active units at coefficient 4$"):
        find_coefficient(lambda c: 100.0 if c < 2 else count, 50.0, 1.0, first=1.0)


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("name", ["target", "tolerance", "first"])
def test_wrong_values_are_named(name: str, value: float) -> None:
    arguments = {"target": 50.0, "tolerance": 1.0, "first": 1.0} | {name: value}
    with pytest.raises(
        ValueError, match=f"^{name} is {value}, allowed is a finite number above 0$"
    ) as caught:
        find_coefficient(power_law(100, 1), **arguments)
    assert not isinstance(caught.value, CoefficientSearchError)


def test_no_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="^most_trials is 0, allowed is at least 1$"):
        find_coefficient(power_law(100, 1), 50.0, 1.0, 1.0, most_trials=0)
