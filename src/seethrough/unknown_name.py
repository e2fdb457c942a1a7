"""How errors speak of a name that nothing has."""

from collections.abc import Iterable
from difflib import get_close_matches


def unknown(name: str, allowed: Iterable[str]) -> str:
    """Return the end of a sentence on an unknown name: the name, the nearest, what is allowed."""
    names = sorted(allowed)
    near = get_close_matches(name, names, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{name!r} is unknown{hint}, allowed are {', '.join(names) or 'none'}"
