"""No revival: a unit that falls silent is left alone."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NoRevival:
    """Leave silent units alone: the plain design whose collapse is under test."""
