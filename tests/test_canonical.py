"""Canonical JSON: worked examples, sensitivity, refusals."""

import json
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seethrough.canonical import canonical_json, modules_of


@dataclass(frozen=True)
class Linear:
    start: int = 500


@dataclass(frozen=True)
class Cosine:
    start: int = 500


@dataclass(frozen=True)
class Config:
    width: int = 3
    schedule: Linear | Cosine = Linear()
    seeds: tuple[int, ...] = (2, 1)
    beta: float = 0.1
    name: str = "ä"


@dataclass(frozen=True)
class Anything:
    value: Any


def test_worked_example() -> None:
    # Keys in alphabetical order, no blanks, text in ASCII, 0.1 as Python's repr writes it.
    assert canonical_json(Config()) == (
        '{"beta":0.1,"name":"\\u00e4","schedule":{"start":500,"type":"Linear"},'
        '"seeds":[2,1],"width":3}'
    )


def test_order_of_the_fields_does_not_matter() -> None:
    forward = make_dataclass("Made", [("a", int), ("b", int)], frozen=True)(a=1, b=2)
    backward = make_dataclass("Made", [("b", int), ("a", int)], frozen=True)(a=1, b=2)
    assert canonical_json(forward) == canonical_json(backward)


@pytest.mark.parametrize(
    "other",
    [
        Config(width=4),
        Config(schedule=Cosine()),
        Config(seeds=(1, 2)),
        Config(beta=1 / 10 + 2**-56),
        Config(beta=1),
    ],
    ids=["value", "class of a nested dataclass", "order in a tuple", "last bit", "1 against 1.0"],
)
def test_every_difference_shows(other: Config) -> None:
    base = Config(beta=1.0) if other.beta == 1 else Config()
    assert canonical_json(other) != canonical_json(base)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_read_back_exactly(value: float) -> None:
    assert json.loads(canonical_json(Anything(value)))["value"] == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match=r"Anything.value is -?(nan|inf), allowed is a finite"):
        canonical_json(Anything(value))


@pytest.mark.parametrize("value", [[1], {"a": 1}, {1}, b"x", object(), Config])
def test_values_that_can_change_or_are_not_plain_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=r"Anything.value\[1\] is"):
        canonical_json(Anything((0, value)))


def test_only_frozen_dataclasses() -> None:
    changeable = make_dataclass("Changeable", [("a", int)])(a=1)
    for wrong in (changeable, Config, {"a": 1}):
        with pytest.raises(TypeError, match="frozen dataclass"):
            canonical_json(wrong)


def test_the_name_type_is_reserved() -> None:
    with pytest.raises(TypeError, match="reserved"):
        canonical_json(make_dataclass("Made", [("type", int)], frozen=True)(1))


def test_modules_of_covers_nested_dataclasses() -> None:
    elsewhere = make_dataclass("Elsewhere", [("a", int)], frozen=True)
    elsewhere.__module__ = "elsewhere"
    assert modules_of(Anything((elsewhere(1), 2))) == {__name__, "elsewhere"}
