"""Read ``claims.yml`` strictly: an unknown key or a wrong type is an error with the claim's id."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import yaml

from seethrough.claims.claim import Claim, ClaimError, PaperValue
from seethrough.claims.rules import RULES

REQUIRED = ("id", "paper", "claim", "standing")


def load(path: Path) -> tuple[Claim, ...]:
    """Return the claims of a YAML file, in its order.

    Raises:
        ClaimError: not a list, an unknown or missing key, a value of a wrong type, an unknown
            rule, a field the rule lacks or has no use for, or an id that occurs twice.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ClaimError(f"{path.name} holds {type(entries).__name__}, expected a list of claims")
    claims = tuple(parse(entry) for entry in entries)
    ids = [claim.id for claim in claims]
    twice = [name for name in ids if ids.count(name) > 1]
    if twice:
        raise ClaimError(f"{path.name} has the id {twice[0]} more than once")
    return claims


def parse(entry: object) -> Claim:
    """Return the claim of one YAML mapping; ``row: x`` is short for ``rows: [x]``.

    Raises:
        ClaimError: as for `load`.
    """
    if not isinstance(entry, dict):
        raise ClaimError(f"got a claim {entry!r}, expected a mapping")
    name = entry.get("id", "a claim without id")
    try:
        return _checked(_claim(entry))
    except ValueError as error:
        raise ClaimError(f"{name}: {error}") from error


def _claim(entry: dict[str, Any]) -> Claim:
    """Return the claim with every value read as the type of its field."""
    values = dict(entry)
    if "row" in values:
        if "rows" in values:
            raise ValueError("got row and rows, allowed one of them")
        values["rows"] = [values.pop("row")]
    _refuse_unknown("key", values, [*READERS, "row"])
    if missing := [key for key in REQUIRED if key not in values]:
        raise ValueError(f"the key {missing[0]!r} is missing")
    return Claim(**{key: READERS[key](key, value) for key, value in values.items()})


def _checked(claim: Claim) -> Claim:
    """Return `claim` if its rule exists and has just the fields that it reads."""
    if claim.rule not in RULES:
        raise ValueError(f"got rule {claim.rule!r}, allowed {', '.join(RULES)}")
    if claim.rule == "none":
        return claim
    rule = RULES[claim.rule]
    if claim.study is None:
        raise ValueError(f"rule {rule.name} needs a study")
    if len(claim.rows) != rule.n_rows:
        raise ValueError(f"rule {rule.name} reads {rule.n_rows} rows, got {len(claim.rows)}")
    if "value" in rule.needs and (claim.value is None or claim.value.sd is None):
        raise ValueError(f"rule {rule.name} needs a value with mean and sd")
    for name in ("groups", "direction_above", "tolerance", "bound"):
        given = getattr(claim, name) not in (None, ())
        if name in rule.needs and not given:
            raise ValueError(f"rule {rule.name} needs {name}")
        if given and name not in rule.needs + rule.allows:
            raise ValueError(f"rule {rule.name} has no use for {name}")
    return claim


def _refuse_unknown(what: str, values: dict[str, Any], allowed: list[str]) -> None:
    """Raise ValueError for the first key that is not allowed."""
    if unknown := [key for key in values if key not in allowed]:
        raise ValueError(f"got {what} {unknown[0]!r}, allowed {', '.join(sorted(allowed))}")


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"got {key} {value!r}, expected a text")
    return value.strip()


def _text_or_none(key: str, value: Any) -> str | None:
    return None if value is None else _text(key, value)


def _number(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"got {key} {value!r}, expected a number")
    return float(value)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"got {key} {value!r}, expected a list of texts")
    return tuple(_text(f"an entry of {key}", item) for item in value)


def _groups(key: str, value: Any) -> tuple[tuple[str, ...], ...]:
    """Return lists of two or more row ids, all of one length.

    ``{quantities: [...], cells: [...]}`` is short for one list per quantity, of its row in every
    cell.
    """
    if isinstance(value, dict):
        value = _product(key, value)
    if not isinstance(value, list):
        raise ValueError(f"got {key} {value!r}, expected a list of lists")
    groups = tuple(_texts("a group", group) for group in value)
    lengths = [len(group) for group in groups]
    if not groups or len(set(lengths)) > 1 or lengths[0] < 2:
        raise ValueError(f"got {key} of lengths {lengths}, expected lists of one length above 1")
    return groups


def _product(key: str, value: dict[str, Any]) -> list[list[str]]:
    names = ["quantities", "cells"]
    _refuse_unknown(f"{key} with", value, names)
    if missing := [name for name in names if name not in value]:
        raise ValueError(f"the key {missing[0]!r} of {key} is missing")
    quantities, cells = (_texts(f"{key}.{name}", value[name]) for name in names)
    return [[f"{quantity}/{cell}" for cell in cells] for quantity in quantities]


def _requirements(key: str, value: Any) -> dict[str, float | str]:
    if not isinstance(value, dict):
        raise ValueError(f"got {key} {value!r}, expected a mapping")
    return {
        _text(f"a name in {key}", name): least
        if isinstance(least, str)
        else _number(f"{key}.{name}", least)
        for name, least in value.items()
    }


def _paper_value(key: str, value: Any) -> PaperValue | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise ValueError(f"got {key} {value!r}, expected a mapping or null")
    readers: dict[str, Callable[[str, Any], Any]] = {
        "mean": _number,
        "sd": _number,
        "unit": _text,
        "text": _text,
    }
    _refuse_unknown(f"{key} with", value, list(readers))
    return PaperValue(**{name: readers[name](name, item) for name, item in value.items()})


READERS: dict[str, Callable[[str, Any], Any]] = {
    "value": _paper_value,
    "study": _text_or_none,
    "reference_study": _text_or_none,
    "rows": _texts,
    "groups": _groups,
    "direction_above": _number,
    "tolerance": _number,
    "bound": _number,
    "requires": _requirements,
    **{key: _text for key in (*REQUIRED, "rule", "note")},
}
"""Field of a claim -> the function that reads its YAML value."""

assert set(READERS) == {entry.name for entry in fields(Claim)}  # internal: no field unread
