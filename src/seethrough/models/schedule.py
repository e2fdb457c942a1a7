"""Schedules for the number of active units.

The paper lowers the active count "from 500 to 50 over 50 epochs" by an "adaptive schedule"
{cite}`roy2026collapse`. The shape between the two ends is not known to us, so it is a type:
linear (our default), cosine, or constant.
"""

import math
from dataclasses import dataclass


def _check_count(name: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name} is {value}, allowed is a count of at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearSchedule:
    """Falls by the same number of units every epoch."""

    start: int = 500
    """Units active per image in the first epoch, at least `end`. From the paper's abstract."""
    end: int = 50
    """Units active per image in the last epoch, at least 1. From the paper's abstract."""

    def __post_init__(self) -> None:
        _check_ends(self.start, self.end)

    def k_at(self, epoch: int, epochs: int) -> int:
        """Return k of one epoch (1-based); epochs past the last keep `end`."""
        return round(self.start + (self.end - self.start) * _progress(epoch, epochs))


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineSchedule:
    """Falls slowly at both ends, fast in the middle (half a cosine wave)."""

    start: int = 500
    """Units active per image in the first epoch, at least `end`."""
    end: int = 50
    """Units active per image in the last epoch, at least 1."""

    def __post_init__(self) -> None:
        _check_ends(self.start, self.end)

    def k_at(self, epoch: int, epochs: int) -> int:
        """Return k of one epoch (1-based); epochs past the last keep `end`."""
        wave = 0.5 * (1 + math.cos(math.pi * _progress(epoch, epochs)))
        return round(self.end + (self.start - self.end) * wave)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantSchedule:
    """The same k from the first epoch on: the control without a squeeze."""

    k: int = 50
    """Units active per image, at least 1."""

    def __post_init__(self) -> None:
        _check_count("k", self.k)

    def k_at(self, epoch: int, epochs: int) -> int:
        """Return k, whatever the epoch."""
        _progress(epoch, epochs)
        return self.k


Schedule = LinearSchedule | CosineSchedule | ConstantSchedule


def make_schedule(shape: str, start: int, end: int) -> Schedule:
    """Return the schedule named by `shape`; a constant one keeps `end`.

    Raises ValueError for a shape other than linear, cosine and constant, for an end below 1, and
    for a start below the end.
    """
    match shape:
        case "linear":
            return LinearSchedule(start=start, end=end)
        case "cosine":
            return CosineSchedule(start=start, end=end)
        case "constant":
            return ConstantSchedule(k=end)
    raise ValueError(f"schedule is {shape!r}, allowed are 'linear', 'cosine' and 'constant'")


def _check_ends(start: int, end: int) -> None:
    _check_count("k at the end", end)
    if start < end:
        raise ValueError(f"k starts at {start}, allowed is at least its end, {end}")


def _progress(epoch: int, epochs: int) -> float:
    """Share of the schedule that is behind: 0 in the first epoch, 1 in the last and after it."""
    if epoch < 1 or epochs < 1:
        raise ValueError(f"epoch {epoch} of {epochs}: both count from 1")
    return 1.0 if epochs == 1 else min(1.0, (epoch - 1) / (epochs - 1))
