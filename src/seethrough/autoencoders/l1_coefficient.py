"""Find the L1 coefficient that leaves a wanted number of units active.

The count falls as the coefficient grows. The search brackets the target by factors of 4 and then
halves the bracket where a straight line in log-log coordinates meets the target, kept a tenth away
from the bracket's ends. No count is assumed: each is measured by a full training run.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

BRACKET_FACTOR = 4.0


class CoefficientSearchError(ValueError):
    """No coefficient gives the wanted count; the message says what was tried."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One coefficient and what it led to."""

    coefficient: float
    """lambda at the end of the squeeze."""
    active: float
    """Units active per held-out image after the last epoch."""


def find_coefficient(
    measure: Callable[[float], float],
    target: float,
    tolerance: float,
    first: float,
    most_trials: int = 16,
) -> list[Trial]:
    """Return all trials; the last one's count lies within `tolerance` of `target`.

    `measure` trains at a coefficient and returns the active count; `first` is the first guess.

    Raises:
        ValueError: a target, tolerance or first guess that is not above 0, or no trials.
        CoefficientSearchError: a count that is not finite, that rises with the coefficient by
            more than the tolerance, or that stays out of reach.
    """
    for name, value in (("target", target), ("tolerance", tolerance), ("first", first)):
        if not 0 < value < math.inf:
            raise ValueError(f"{name} is {value}, allowed is a finite number above 0")
    if most_trials < 1:
        raise ValueError(f"most_trials is {most_trials}, allowed is at least 1")
    trials: list[Trial] = []
    guess = first
    for _ in range(most_trials):
        active = measure(guess)
        if not math.isfinite(active):
            raise CoefficientSearchError(f"{active} active units at coefficient {guess:g}")
        trials.append(Trial(guess, active))
        if abs(active - target) <= tolerance:
            return trials
        _check_falling(trials, tolerance)
        guess = _next(trials, target)
    raise CoefficientSearchError(
        f"no coefficient gave {target:g} ± {tolerance:g} active units; tried {_said(trials)}"
    )


def _next(trials: list[Trial], target: float) -> float:
    """Return the next coefficient: outside what was tried, or inside the bracket."""
    above = [t for t in trials if t.active > target]  # too many active: lambda too small
    below = [t for t in trials if t.active < target]
    if not below:
        return BRACKET_FACTOR * max(t.coefficient for t in above)
    if not above:
        return min(t.coefficient for t in below) / BRACKET_FACTOR
    low = max(above, key=lambda t: t.coefficient)
    high = min(below, key=lambda t: t.coefficient)
    # 1e-3: a count of 0 has no logarithm
    drop = math.log(low.active) - math.log(max(high.active, 1e-3))
    share = (math.log(low.active) - math.log(target)) / drop
    share = min(0.9, max(0.1, share))
    return low.coefficient ** (1 - share) * high.coefficient**share  # type: ignore[no-any-return]


def _check_falling(trials: list[Trial], tolerance: float) -> None:
    """Raise unless the count falls with the coefficient, up to the tolerance."""
    ordered = sorted(trials, key=lambda t: t.coefficient)
    for before, after in zip(ordered, ordered[1:], strict=False):
        if after.active > before.active + tolerance:
            raise CoefficientSearchError(
                "the active count must not rise with the coefficient; tried " + _said(ordered)
            )


def _said(trials: list[Trial]) -> str:
    return ", ".join(f"{t.coefficient:.3g}: {t.active:.1f}" for t in trials)
