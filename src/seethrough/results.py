"""Results of a study: numbers with their intervals over seeds, curves, and where they come from.

One JSON file per run. What can be computed from the values of the seeds is written for readers of
the file and checked on reading. NaN, which JSON lacks, is written as null; a number that has a NaN
among its seeds has the mean NaN and no interval.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from seethrough.checked_json import (
    nan_to_null,
    numbers,
    of_type,
    parse_json,
    pretty_json,
    with_keys,
    write_atomically,
)
from seethrough.metrics.intervals import student_interval
from seethrough.provenance import Provenance

__all__ = ["Provenance", "ResultError", "Row", "Series", "StudyResult"]

SCHEMA = 1
Cell = dict[str, str | int | float]
Interval = tuple[float, float | None, float | None, float | None]
Entry = TypeVar("Entry", "Row", "Series")


class ResultError(ValueError):
    """A file that is no valid result; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Row:
    """One measured number."""

    id: str
    """Unique in its study: quantity/position/width, for instance."""
    quantity: str
    """What is measured, in words."""
    cell: Cell
    """The conditions under which it was measured."""
    unit: str
    """Unit, "fraction" for shares."""
    per_seed: tuple[float, ...]
    """One value per seed, at least one; finite or NaN."""

    def __post_init__(self) -> None:
        _check_values(self.per_seed, self.id)

    @property
    def n(self) -> int:
        """Return the number of seeds."""
        return len(self.per_seed)

    @property
    def mean(self) -> float:
        """Return the mean over seeds."""
        return _interval(self.per_seed)[0]

    @property
    def sd(self) -> float | None:
        """Return the standard deviation over seeds (n - 1), None for one seed."""
        return _interval(self.per_seed)[1]

    @property
    def low(self) -> float | None:
        """Return the lower end of the 95 % Student t interval of the mean, None for one seed."""
        return _interval(self.per_seed)[2]

    @property
    def high(self) -> float | None:
        """Return the upper end of the 95 % Student t interval of the mean, None for one seed."""
        return _interval(self.per_seed)[3]


@dataclass(frozen=True, slots=True)
class Series:
    """One measured curve."""

    id: str
    """Unique among the curves of its study."""
    quantity: str
    """What is measured, in words."""
    cell: Cell
    """The conditions under which it was measured."""
    unit: str
    """Unit of the values."""
    x_name: str
    """What x counts, "epoch" for instance."""
    x: tuple[float, ...]
    """Where the curve was measured."""
    per_seed: tuple[tuple[float, ...], ...]
    """One curve per seed, at least one, each as long as x; finite or NaN."""

    def __post_init__(self) -> None:
        for values in (self.x, *self.per_seed):
            _check_values(values, self.id)
        if not self.per_seed or any(len(curve) != len(self.x) for curve in self.per_seed):
            raise ValueError(
                f"{self.id} has curves of {[len(curve) for curve in self.per_seed]} points, "
                f"allowed are one or more of {len(self.x)}"
            )

    @property
    def mean(self) -> tuple[float, ...]:
        """Return the mean over seeds at every x."""
        return tuple(_interval(values)[0] for values in zip(*self.per_seed, strict=True))

    @property
    def low(self) -> tuple[float | None, ...]:
        """Return the lower end of the 95 % interval at every x, None for one seed."""
        return tuple(_interval(values)[2] for values in zip(*self.per_seed, strict=True))

    @property
    def high(self) -> tuple[float | None, ...]:
        """Return the upper end of the 95 % interval at every x, None for one seed."""
        return tuple(_interval(values)[3] for values in zip(*self.per_seed, strict=True))


@dataclass(frozen=True, slots=True)
class StudyResult:
    """Everything that one run of a study measured."""

    study: str
    """Name of the study."""
    rows: tuple[Row, ...]
    """Numbers, with distinct ids."""
    series: tuple[Series, ...]
    """Curves, with distinct ids."""
    provenance: Provenance
    """Where they come from."""

    def __post_init__(self) -> None:
        for entries in (self.rows, self.series):
            ids = [entry.id for entry in entries]
            doubled = sorted({name for name in ids if ids.count(name) > 1})
            if doubled:
                raise ValueError(f"ids {', '.join(doubled)} stand twice, allowed is once each")

    def row(self, id: str) -> Row:
        """Return the row `id`; raise KeyError, naming the nearest ids, if there is none."""
        return _find(self.rows, id, f"study {self.study} has no row")

    def one_series(self, id: str) -> Series:
        """Return the curve `id`; raise KeyError, naming the nearest ids, if there is none."""
        return _find(self.series, id, f"study {self.study} has no series")

    def write(self, path: Path) -> None:
        """Write the result as JSON, whole or not at all."""
        content = {
            "schema": SCHEMA,
            "study": self.study,
            "rows": [_record(row, ("n", "mean", "sd", "low", "high")) for row in self.rows],
            "series": [_record(curve, ("mean", "low", "high")) for curve in self.series],
            "provenance": asdict(self.provenance),
        }
        write_atomically(path, pretty_json(nan_to_null(content)))

    @classmethod
    def read(cls, path: Path) -> "StudyResult":
        """Return the result in a file.

        Raises:
            FileNotFoundError: there is no such file.
            ResultError: it is not JSON, lacks a key or has one too many, holds a value of a wrong
                type, or an interval that does not follow from its seeds.
        """
        try:
            return _parse(parse_json(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise ResultError(f"{path.name}: {error}") from error


def _parse(content: object) -> StudyResult:
    keys = ("schema", "study", "rows", "series", "provenance")
    content = with_keys(content, keys, "the file")
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema is {content['schema']!r}, allowed is {SCHEMA}")
    for name in ("rows", "series"):
        of_type(content[name], list, name)
    return StudyResult(
        study=of_type(content["study"], str, "study"),
        rows=tuple(_parse_row(record) for record in content["rows"]),
        series=tuple(_parse_series(record) for record in content["series"]),
        provenance=_parse_provenance(content["provenance"]),
    )


def _parse_row(record: object) -> Row:
    derived = ("n", "mean", "sd", "low", "high")
    record = with_keys(record, (*(f.name for f in fields(Row)), *derived), "a row")
    row = Row(*_head(record), per_seed=numbers(record["per_seed"], record["id"]))
    _check_derived(record, row, derived)
    return row


def _parse_series(record: object) -> Series:
    derived = ("mean", "low", "high")
    record = with_keys(record, (*(f.name for f in fields(Series)), *derived), "a series")
    name = record["id"]
    curves = of_type(record["per_seed"], list, f"{name} per_seed")
    series = Series(
        *_head(record),
        x_name=of_type(record["x_name"], str, f"{name} x_name"),
        x=numbers(record["x"], name),
        per_seed=tuple(numbers(curve, name) for curve in curves),
    )
    _check_derived(record, series, derived)
    return series


def _parse_provenance(record: object) -> Provenance:
    kinds: dict[str, Any] = {
        "parameters": dict, "seeds": list, "profile": str, "device": str, "threads": int,
        "versions": dict, "git_commit": (str, type(None)), "git_dirty": bool,
        "seconds": (int, float),
    }  # fmt: skip
    record = with_keys(record, tuple(kinds), "provenance")
    for name, kind in kinds.items():
        of_type(record[name], kind, f"provenance {name}")
    for seed in record["seeds"]:
        of_type(seed, int, "provenance seeds")
    for version in record["versions"].values():
        of_type(version, str, "provenance versions")
    converted = {"seeds": tuple(record["seeds"]), "seconds": float(record["seconds"])}
    return Provenance(**(record | converted))


def _head(record: Mapping[str, Any]) -> tuple[str, str, Cell, str]:
    """Return id, quantity, cell and unit after checking their types."""
    name = of_type(record["id"], str, "an id")
    cell = of_type(record["cell"], dict, f"{name} cell")
    for value in cell.values():
        of_type(value, (str, int, float), f"{name} cell")
    quantity = of_type(record["quantity"], str, f"{name} quantity")
    return name, quantity, cell, of_type(record["unit"], str, f"{name} unit")


def _check_derived(record: Mapping[str, Any], entry: Row | Series, names: Sequence[str]) -> None:
    for name in names:
        expected, found = nan_to_null(getattr(entry, name)), record[name]
        if not _close(expected, found):
            raise ValueError(f"{entry.id} has {name} {found!r}, but its seeds give {expected!r}")


def _close(expected: Any, found: Any) -> bool:
    if isinstance(expected, list):
        same_length = isinstance(found, list) and len(found) == len(expected)
        return same_length and all(map(_close, expected, found))
    if expected is None or found is None:
        return expected is found
    number = isinstance(found, int | float) and not isinstance(found, bool)
    return number and math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-12)


@lru_cache(maxsize=4096)  # mean, low and high of a curve come from the same intervals
def _interval(values: tuple[float, ...]) -> Interval:
    if any(math.isnan(value) for value in values):
        return math.nan, None, None, None
    return student_interval(values)


def _check_values(values: Sequence[float], name: str) -> None:
    if not values or any(math.isinf(value) for value in values):
        raise ValueError(
            f"{name} has the values {list(values)}, allowed are one or more, finite or NaN"
        )


def _find(entries: Sequence[Entry], id: str, problem: str) -> Entry:
    found = {entry.id: entry for entry in entries}
    if id not in found:
        near = get_close_matches(id, list(found), n=3, cutoff=0.3)
        raise KeyError(f"{problem} {id!r}; near are {', '.join(near) or 'none'}")
    return found[id]


def _record(entry: Row | Series, derived: Sequence[str]) -> dict[str, Any]:
    return asdict(entry) | {name: getattr(entry, name) for name in derived}
