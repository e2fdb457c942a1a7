"""JSON that is written whole and read strictly."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seethrough.checked_json import (
    nan_to_null,
    numbers,
    of_type,
    parse_json,
    pretty_json,
    with_keys,
    write_atomically,
)

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)  # fmt: skip


def test_worked_example() -> None:
    value = {"a": [1, 2.5], "b": {"c": None}, "d": [[1], [2]], "e": [], "f": "ä"}
    assert pretty_json(value) == (
        '{\n "a": [1, 2.5],\n "b": {\n  "c": null\n },\n "d": [\n  [1],\n  [2]\n ],\n'
        ' "e": [],\n "f": "ä"\n}\n'
    )


@given(plain)
def test_pretty_json_reads_back(value: object) -> None:
    assert json.loads(pretty_json(value)) == value
    assert parse_json(pretty_json(value)) == value


@pytest.mark.parametrize("text", ["NaN", '{"a": Infinity}', "[-Infinity]"])
def test_constants_that_json_lacks_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed are finite numbers and null"):
        parse_json(text)
    with pytest.raises(ValueError, match="not JSON compliant"):
        pretty_json(json.loads(text))


def test_double_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="key 'b' stands twice"):
        parse_json('{"a": 1, "b": 1, "b": 2}')


def test_nan_to_null() -> None:
    value = {"a": (1.0, float("nan")), "b": [float("nan")]}
    assert nan_to_null(value) == {"a": [1.0, None], "b": [None]}


def test_with_keys_names_what_differs() -> None:
    assert with_keys({"a": 1}, ["a"], "it") == {"a": 1}
    with pytest.raises(ValueError, match="^it lacks b and has the unknown c$"):
        with_keys({"a": 1, "c": 1}, ["a", "b"], "it")


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), (1, str), ("1", (int, float)), (1, bool), (None, dict)]
)
def test_of_type_refuses(value: object, kind: object) -> None:
    with pytest.raises(TypeError, match="^it is .*, allowed is"):
        of_type(value, kind, "it")


def test_numbers_take_null_for_nan() -> None:
    first, second = numbers([1, None], "it")
    assert first == 1.0
    assert second != second
    with pytest.raises(TypeError):
        numbers(["1"], "it")


def test_nothing_is_left_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.json"
    write_atomically(path, "1")
    write_atomically(path, "2")
    assert [entry.name for entry in path.parent.iterdir()] == ["file.json"]
    assert path.read_text() == "2"
