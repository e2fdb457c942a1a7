"""Canonical JSON of frozen dataclasses: equal configurations give equal bytes.

Keys are sorted, nothing is indented, text is ASCII. A float is written by its ``repr``, so it reads
back as the same number; 1 and 1.0 differ. Tuples become lists. A dataclass inside another one
carries its class name under ``type``, so that two alternatives with equal fields differ.
"""

import json
import math
from dataclasses import fields
from typing import Any

TYPE_KEY = "type"
"""Under this key a nested dataclass carries its class name; no field may have this name."""


def canonical_json(config: object) -> str:
    """Return the canonical JSON text of a frozen dataclass.

    Raises:
        TypeError: `config` is not a frozen dataclass, or a field holds something else than None,
            bool, int, float, str, a tuple of these or a frozen dataclass.
        ValueError: a float is NaN or infinite.
    """
    return dumps(field_values(config))


def dumps(plain: object) -> str:
    """Return canonical JSON of plain data: dicts with text keys, lists, numbers, text, None."""
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)


def field_values(config: object) -> dict[str, Any]:
    """Return the fields of a frozen dataclass as plain data (see `canonical_json`)."""
    if not _is_frozen_dataclass(config):
        raise TypeError(f"got {config!r}, allowed is an instance of a frozen dataclass")
    values = {}
    for field in fields(config):  # type: ignore[arg-type]
        where = f"{type(config).__name__}.{field.name}"
        if field.name == TYPE_KEY:
            raise TypeError(f"{where}: this name is reserved for the class of a nested dataclass")
        values[field.name] = _plain(getattr(config, field.name), where)
    return values


def modules_of(config: object) -> set[str]:
    """Return the names of the modules that define `config`'s class and those nested in it."""
    if isinstance(config, tuple):
        return set().union(*map(modules_of, config))
    if not _is_frozen_dataclass(config):
        return set()
    nested = (modules_of(getattr(config, field.name)) for field in fields(config))  # type: ignore[arg-type]
    return {type(config).__module__}.union(*nested)


def _plain(value: object, where: str) -> Any:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}, allowed is a finite number")
        return float(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, tuple):
        return [_plain(entry, f"{where}[{i}]") for i, entry in enumerate(value)]
    if _is_frozen_dataclass(value):
        return {TYPE_KEY: type(value).__name__} | field_values(value)
    raise TypeError(
        f"{where} is {value!r}, allowed are None, bool, int, float, str, tuples of these and "
        "frozen dataclasses"
    )


def _is_frozen_dataclass(value: object) -> bool:
    declared = getattr(type(value), "__dataclass_params__", None)
    return declared is not None and bool(declared.frozen)
