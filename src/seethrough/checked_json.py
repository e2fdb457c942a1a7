"""JSON files that are written whole or not at all, and read strictly."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str) -> None:
    """Write a text file under a temporary name beside `path`, then move it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


def pretty_json(value: object) -> str:
    """Return JSON for readers and for diffs: one entry per line, lists of plain values on one.

    Raises ValueError for NaN and infinity.
    """
    return _text(value, "") + "\n"


def _text(value: object, margin: str) -> str:
    inner = f"{margin} "
    if isinstance(value, Mapping) and value:
        lines = [f"{inner}{json.dumps(k)}: {_text(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list | tuple) and any(
        isinstance(v, Mapping | list | tuple) for v in value
    ):
        lines = [f"{inner}{_text(entry, inner)}" for entry in value]
        return "[\n" + ",\n".join(lines) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def nan_to_null(value: Any) -> Any:
    """Return plain data with None in place of NaN and lists in place of tuples."""
    if isinstance(value, Mapping):
        return {key: nan_to_null(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [nan_to_null(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def parse_json(text: str) -> Any:
    """Return the content of a JSON text; raise ValueError for NaN, infinity and double keys."""
    return json.loads(text, parse_constant=_refuse, object_pairs_hook=_distinct)


def with_keys(value: object, keys: Sequence[str], where: str) -> dict[str, Any]:
    """Return `value` if it is an object with exactly these keys, else raise a sentence."""
    content: dict[str, Any] = of_type(value, dict, where)
    missing = [key for key in keys if key not in content]
    foreign = [key for key in content if key not in keys]
    if missing or foreign:
        parts = [f"lacks {', '.join(missing)}"] if missing else []
        parts += [f"has the unknown {', '.join(foreign)}"] if foreign else []
        raise ValueError(f"{where} {' and '.join(parts)}")
    return content


def of_type(value: object, kind: Any, where: str) -> Any:
    """Return `value` if it is of a type, or of one of several; true and false are no numbers."""
    kinds = kind if isinstance(kind, tuple) else (kind,)
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        allowed = " or ".join(entry.__name__ for entry in kinds)
        raise TypeError(f"{where} is {value!r}, allowed is {allowed}")
    return value


def numbers(values: object, where: str) -> tuple[float, ...]:
    """Return a list of numbers as floats, null as NaN."""
    listed = of_type(values, list, where)
    return tuple(
        math.nan if value is None else float(of_type(value, (int, float), where))
        for value in listed
    )


def _refuse(constant: str) -> None:
    raise ValueError(f"it holds {constant}, allowed are finite numbers and null")


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {max(names, key=names.count)!r} stands twice")
    return content
