"""Scores at the same L0, or at the same explained variance, read off a sweep of k.

A fixed k gives models different L0 at inference and different reconstructions, so a change of any
score may be one of the operating point. Each score is therefore interpolated, linearly in the
logarithm of L0 or of NMSE, between the two ends of the sweep that enclose a common target. The
target is what the first model (the dense one with the recovery's steps) has at the fixed k, moved
into the range that every model's sweep covers.

After a short training a larger k need not explain more. A sweep therefore counts up to the k at
which its number is at its extreme, L0 highest or NMSE lowest: beyond it the same value would come a
second time, from autoencoders that are not yet trained. Symbols: K points of a sweep, C classes.
"""

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seethrough.studies.sae_scores import SAEScores

Sweep = Mapping[int, SAEScores]
"""k -> scores of one model's autoencoder."""
MATCHED = {"equal_l0": "l0", "equal_fve": "nmse"}
"""Comparison -> the number that is made equal; NMSE is 1 - FVE."""
LEAST = 1e-9
"""Smallest number whose logarithm is taken: of a code without an active latent, or no error."""


def rising_part(sweep: Sweep, number: str) -> Sweep:
    """Return the sweep from its smallest k to the first at which the number is at its extreme.

    The extreme is the lowest NMSE, or the highest of any other number.
    """
    ks = sorted(sweep)
    sign = -1 if number == "nmse" else 1
    values = [sign * sweep[k].numbers[number] for k in ks]
    return {k: sweep[k] for k in ks[: values.index(max(values)) + 1]}


def target_of(sweeps: Sequence[Sweep], number: str, k: int) -> float:
    """Return the common value of a number, NaN if the ranges of the sweeps do not overlap.

    The first sweep's value at `k`, moved into the range that all sweeps cover.
    """
    curves = [_logs(rising_part(sweep, number), number) for sweep in sweeps]
    low = max(float(curve.min()) for curve in curves)
    high = min(float(curve.max()) for curve in curves)
    if not low <= high:
        return math.nan
    own = math.log(max(sweeps[0][k].numbers[number], LEAST))
    return math.exp(min(max(own, low), high))


def at_target(sweep: Sweep, number: str, target: float) -> SAEScores:
    """Return a model's scores where `number` has the target's value, by interpolation.

    NaN throughout for a target of NaN or outside the sweep, up to rounding.
    """
    sweep = rising_part(sweep, number)
    x, goal = _logs(sweep, number), math.log(target) if target > 0 else math.nan
    some = next(iter(sweep.values()))
    numbers = {
        name: float(interpolated(goal, x, _stacked([s.numbers[name] for s in sweep.values()])))
        for name in some.numbers
    }
    per_class = {
        place: interpolated(goal, x, torch.stack([s.per_class[place] for s in sweep.values()]))
        for place in some.per_class
    }
    return SAEScores(numbers, per_class)


def interpolated(
    goal: float, x: Float64[Tensor, " K"], values: Float[Tensor, "K ..."]
) -> Float64[Tensor, "..."]:
    """Return the values at `goal`, linearly between neighbouring x; NaN outside them.

    >>> x = torch.tensor([2.0, 0.0]).double()
    >>> float(interpolated(0.5, x, torch.tensor([10.0, 20.0])))
    17.5
    """
    order = x.argsort()
    x, values = x[order], values[order].double()
    # A target taken from the end of a sweep is inside it, whatever logarithms do to its last digit.
    margin = 1e-9 * max(1.0, abs(goal))
    if not float(x[0]) - margin <= goal <= float(x[-1]) + margin:
        return torch.full_like(values[0], torch.nan)
    above = min(max(int((x < goal).sum()), 1), len(x) - 1) if len(x) > 1 else 0
    below = max(above - 1, 0)
    width = float(x[above] - x[below])
    share = min(max((goal - float(x[below])) / width, 0.0), 1.0) if width > 0 else 0.0
    return values[below] + share * (values[above] - values[below])


def _logs(sweep: Sweep, number: str) -> Float64[Tensor, " K"]:
    return _stacked([math.log(max(s.numbers[number], LEAST)) for s in sweep.values()])


def _stacked(values: Sequence[float]) -> Float64[Tensor, " K"]:
    return torch.tensor(values, dtype=torch.float64)
