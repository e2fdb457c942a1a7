"""Parameters of studies: read from params/*.yml or the command line, checked before any work.

Every fault is a ParameterError whose message is one sentence that names the value and what is
allowed.
"""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from seethrough.canonical import field_values
from seethrough.checkout import checkout_root
from seethrough.unknown_name import unknown

PROFILES = ("smoke", "quick", "reference", "paper")
"""Scales, from seconds to days; each is a file in params/. `reference` is that of the committed
results, `paper` the protocol at full scale."""
TIERS = ("natural",)
"""Further files in params/: committed results on other data than the package's own, for the studies
that can take it."""
SHARED = "."
"""Entries of a profile whose name begins so are no studies: what several studies share."""
CUSTOM = "custom"

Parameters = TypeVar("Parameters")


class ParameterError(ValueError):
    """A wrong name, parameter or value; the message is one sentence."""


def load(profile: str, study: str, folder: Path | None = None) -> dict[str, Any]:
    """Return the parameters of `study` at a profile's scale, as they stand in the file.

    `folder` is the params folder; by default that of the checkout. Raises ParameterError for an
    unknown profile or study, or without a params folder.
    """
    studies = load_profile(profile, folder)
    if study not in studies:
        raise ParameterError(
            f"profile {profile!r} has no parameters for study {study!r}; it has "
            f"{', '.join(sorted(studies)) or 'none'}"
        )
    return studies[study]


def load_profile(profile: str, folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return study -> parameters of one file of params/ (see `load`)."""
    if profile not in PROFILES + TIERS:
        raise ParameterError(f"profile is {profile!r}, allowed are {', '.join(PROFILES + TIERS)}")
    folder = folder or params_folder()
    path = folder and folder / f"{profile}.yml"
    if path is None or not path.is_file():
        raise ParameterError(
            f"profile {profile!r} has no file params/{profile}.yml here: profiles need a checkout "
            "of the project"
        )
    try:
        studies = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ParameterError(f"params/{path.name} is not YAML: {_one_line(error)}") from error
    nested = isinstance(studies, dict) and all(isinstance(v, dict) for v in studies.values())
    if not nested or not _all_text([*studies, *(name for v in studies.values() for name in v)]):
        raise ParameterError(
            f"params/{path.name} holds something else than names of studies, each with a mapping "
            "of parameters"
        )
    return {name: dict(values) for name, values in studies.items() if not name.startswith(SHARED)}


def params_folder() -> Path | None:
    """Return the checkout's params folder, None if there is none."""
    root = checkout_root()
    return root / "params" if root and (root / "params").is_dir() else None


def build(cls: type[Parameters], values: Mapping[str, Any]) -> Parameters:
    """Return an instance of the dataclass `cls`; fields that `values` lacks keep their defaults.

    A whole number is taken for a float, and so is a text such as 1e-3, which YAML takes for text.
    Raises ParameterError for an unknown name, a wrong type, or what the class itself refuses.
    """
    hints = get_type_hints(cls)
    allowed = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    for name in values:
        if name not in allowed:
            raise ParameterError(f"parameter {unknown(name, allowed)}")
    checked = {name: coerce(value, hints[name], name) for name, value in values.items()}
    try:
        return cls(**checked)
    except ValueError as error:
        raise ParameterError(_one_line(error)) from error


def from_namespace(cls: type[Parameters], namespace: Mapping[str, Any]) -> Parameters:
    """Return an instance of the dataclass `cls` from the variables of its fields' names.

    For notebooks, whose parameters are variables: pass ``globals()``. Other variables are left
    alone. Raises ParameterError for a field without a variable, and as `build` does.
    """
    names = [field.name for field in fields(cls)]  # type: ignore[arg-type]
    missing = [name for name in names if name not in namespace]
    if missing:
        raise ParameterError(f"there is no variable {', '.join(missing)}, needed is one per field")
    return build(cls, {name: namespace[name] for name in names})


def assignments(cls: type, texts: Iterable[str]) -> dict[str, Any]:
    """Return name -> value from texts like ``width=1000`` or ``seeds=[0, 1]``.

    Values are YAML, except that text fields take them as they stand. Raises ParameterError.
    """
    hints, values = get_type_hints(cls), {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ParameterError(f"parameter {text!r} has no value, allowed is NAME=VALUE")
        if name in values:
            raise ParameterError(f"parameter {name!r} is given twice, allowed is once")
        try:
            values[name] = value if hints.get(name) is str else yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ParameterError(
                f"parameter {name} is {value!r}, which is not YAML: allowed are values like 3, "
                "0.5, text, [0, 1]"
            ) from error
    return values


def plain(parameters: object) -> dict[str, Any]:
    """Return a dataclass of parameters as plain data, as papermill and JSON take it."""
    return field_values(parameters)


def profile_of(study: str, parameters: object, folder: Path | None = None) -> str:
    """Return the profile whose file holds exactly these parameters, "custom" if none does."""
    for profile in PROFILES + TIERS:
        try:
            if build(type(parameters), load(profile, study, folder)) == parameters:
                return profile
        except ParameterError:
            continue
    return CUSTOM


def coerce(value: object, hint: Any, name: str) -> Any:
    """Return `value` as the type `hint`, or raise ParameterError.

    Types: bool, int, float, str, Literal, tuple[X, ...], and unions of them with None.
    """
    if get_origin(hint) is types.UnionType:
        if value is None and type(None) in get_args(hint):
            return None
        (hint,) = (member for member in get_args(hint) if member is not type(None))
    if get_origin(hint) is Literal:
        return _literal(value, get_args(hint), name)
    if get_origin(hint) is tuple:
        return _tuple(value, get_args(hint)[0], name)
    if hint not in _SCALARS:
        raise TypeError(f"parameter {name} is declared as {hint}, which no file can hold")
    words, accept = _SCALARS[hint]
    accepted = accept(value)
    if accepted is None:
        raise ParameterError(f"parameter {name} is {value!r}, allowed is {words}")
    return accepted


def _literal(value: object, members: tuple[object, ...], name: str) -> object:
    for member in members:
        if value == member and type(value) is type(member):
            return member
    allowed = ", ".join(map(str, members))
    raise ParameterError(f"parameter {name} is {value!r}, allowed are {allowed}")


def _tuple(value: object, hint: Any, name: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ParameterError(f"parameter {name} is {value!r}, allowed is a list such as [1, 2]")
    return tuple(coerce(entry, hint, f"{name}[{i}]") for i, entry in enumerate(value))


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None  # NaN compares false


def _boolean(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


_SCALARS: dict[Any, tuple[str, Any]] = {
    bool: ("true or false", _boolean),
    int: ("a whole number", _integer),
    float: ("a finite number", _number),
    str: ("text", _text),
}


def _all_text(names: Iterable[object]) -> bool:
    return all(isinstance(name, str) for name in names)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
