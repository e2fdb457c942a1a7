import math

import pytest

from seethrough.training.checks import at_least, check_learning_rate, check_width


@pytest.mark.parametrize("value", [1, 2, 1.0, 10**9])
def test_values_from_the_least_on_pass(value: int | float) -> None:
    at_least("epochs", value, 1)


@pytest.mark.parametrize("value", [0, -3, 0.999, math.nan, math.inf, -math.inf])
def test_other_values_are_named(value: int | float) -> None:
    with pytest.raises(ValueError, match=rf"^epochs is {value}, allowed is at least 1$"):
        at_least("epochs", value, 1)


@pytest.mark.parametrize("rate", [1e-30, 1e-3, 1, 1e30])
def test_learning_rates_above_0_pass(rate: int | float) -> None:
    check_learning_rate(rate)


@pytest.mark.parametrize("rate", [0.0, -1e-3, math.inf, math.nan])
def test_other_learning_rates_are_named(rate: float) -> None:
    with pytest.raises(
        ValueError, match=rf"^learning_rate is {rate}, allowed is a finite number above 0$"
    ):
        check_learning_rate(rate)


def test_widths() -> None:
    check_width(2, 1)
    check_width(50, 50)
    with pytest.raises(ValueError, match="^width is 1, allowed is at least 2 units$"):
        check_width(1, 1)
    with pytest.raises(ValueError, match="^width is 49, allowed is at least the final k, 50$"):
        check_width(49, 50)
