"""Checks that configurations share; each raises ValueError with the value and what is allowed."""


def at_least(name: str, value: int | float, least: int) -> None:
    """Raise unless `value` is finite and at least `least`."""
    if not least <= value < float("inf"):
        raise ValueError(f"{name} is {value}, allowed is at least {least}")


def check_learning_rate(learning_rate: int | float) -> None:
    """Raise unless the step size is finite and above 0."""
    if not 0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate is {learning_rate}, allowed is a finite number above 0")


def check_width(width: int, least: int) -> None:
    """Raise unless the dictionary has two units and the `least` that stay active."""
    if width < 2:
        raise ValueError(f"width is {width}, allowed is at least 2 units")
    if width < least:
        raise ValueError(f"width is {width}, allowed is at least the final k, {least}")
