"""Scores at the same L0, or at the same explained variance, read off a sweep of k.

A fixed k gives models different L0 at inference and different reconstructions, so a change of any
score may be one of the operating point. Each score is therefore interpolated to a common target,
linearly in the logarithm of L0 or of NMSE, between the first two neighbours of the sweep, by rising
k, that enclose it. Explained variance need not rise with k to the end: an autoencoder with few
inputs to learn from comes to its best and falls. So the smallest k that reaches a target counts.

The target of L0 is what the first model (the dense one with the recovery's steps) has at the fixed
k, moved into the range that every model's sweep covers. The target of NMSE is the middle, in
logarithms, of what every sweep covers on its way to its best: near the best a score depends on k
and hardly on NMSE, and would be matched to noise. Symbols: K points of a sweep, C classes.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

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


def target_of(sweeps: Sequence[Sweep], number: str, k: int) -> float:
    """Return the common value of L0 or NMSE, NaN if the ranges of the sweeps do not overlap.

    Of L0 the first sweep's value at `k`, moved into the common range; of NMSE the range's middle.
    """
    curves = [_logs(sweep, number) for sweep in sweeps]
    if number == "nmse":
        curves = [curve[: int(curve.argmin()) + 1] for curve in curves]
    low = max(float(curve.min()) for curve in curves)
    high = min(float(curve.max()) for curve in curves)
    if not low <= high:
        return math.nan
    if number == "nmse":
        return math.exp((low + high) / 2)
    own = math.log(max(sweeps[0][k].numbers[number], LEAST))
    return math.exp(min(max(own, low), high))


def at_target(sweep: Sweep, number: str, target: float) -> SAEScores:
    """Return a model's scores where `number` first has the target's value, by interpolation.

    NaN throughout for a target of NaN or outside the sweep, up to rounding.
    """
    x, goal = _logs(sweep, number), math.log(target) if target > 0 else math.nan
    points = _by_k(sweep)
    numbers = {
        name: float(interpolated(goal, x, _stacked([one.numbers[name] for one in points])))
        for name in points[0].numbers
    }
    per_class = {
        place: interpolated(goal, x, torch.stack([one.per_class[place] for one in points]))
        for place in points[0].per_class
    }
    return SAEScores(numbers, per_class)


def interpolated(
    goal: float, x: Float64[Tensor, " K"], values: Float[Tensor, "K ..."]
) -> Float64[Tensor, "..."]:
    """Return the values where x, in its order, first passes `goal`, linearly; NaN if it never does.

    >>> x = torch.tensor([0.0, 2.0, 1.0]).double()
    >>> float(interpolated(1.5, x, torch.tensor([10.0, 20.0, 0.0])))
    17.5
    """
    values = values.double()
    # A target taken from a point is on it, whatever logarithms do to its last digit.
    margin = 1e-9 * max(1.0, abs(goal))
    if abs(float(x[0]) - goal) <= margin:
        return values[0]
    for number, (before, after) in enumerate(pairwise(x.tolist())):
        if min(before, after) - margin <= goal <= max(before, after) + margin:
            share = min(max((goal - before) / (after - before), 0.0), 1.0)
            found: Tensor = values[number].lerp(values[number + 1], share)
            return found
    return torch.full_like(values[0], torch.nan)


def _logs(sweep: Sweep, number: str) -> Float64[Tensor, " K"]:
    return _stacked([math.log(max(one.numbers[number], LEAST)) for one in _by_k(sweep)])


def _by_k(sweep: Sweep) -> list[SAEScores]:
    return [sweep[k] for k in sorted(sweep)]


def _stacked(values: Sequence[float]) -> Float64[Tensor, " K"]:
    return torch.tensor(values, dtype=torch.float64)
