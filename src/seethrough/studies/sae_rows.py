"""Rows of the study of sparse autoencoders: scores, matched scores, changes and trends.

A place is an operating point: `k21` is one point of the sweep, `fixed_k`, `equal_l0` and
`equal_fve` are the three comparisons of all models, and the name of another method or of other
tokens stands for what the dense model alone is measured with. Means over classes at the three
comparisons have the ends of their 95 % bootstrap interval over classes beside them (`..._low`,
`..._high`); changes have 90 % intervals, those of the test of equivalence.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float64
from torch import Tensor

from seethrough.neurons.bootstrap import bootstrap_mean
from seethrough.neurons.equivalence import equivalence_test
from seethrough.neurons.rank_correlation import rank_correlation
from seethrough.neurons.trend import trend_test
from seethrough.results import Cell
from seethrough.studies import neuron_rows
from seethrough.studies.impact_models import DENSE, TUNED, Condition
from seethrough.studies.matched_sparsity import MATCHED, at_target, target_of
from seethrough.studies.neuron_rows import TRENDS, VERDICTS, NamedValue
from seethrough.studies.sae_scores import SAEScores

FIXED = "fixed_k"
COMPARISONS = (FIXED, *MATCHED)
"""The three ways in which all models are compared."""
METRICS = {
    "impact": ("logit lost by removing the latents, over the logits' norm", "1"),
    "selectivity": ("AUROC of a latent for the class", "AUROC"),
    "variance": ("coefficient of variation of a latent within the class", "1"),
    "entropy": ("entropy of a latent over classes", "nats"),
    "monosemanticity": ("monosemanticity score of a latent", "1"),
    "purity": ("modal-class purity of a latent's highest images", "fraction"),
}
"""The six metrics of a latent, in words, with their units."""
ABSOLUTE = ("selectivity", "monosemanticity", "purity")
MARGINS = neuron_rows.MARGINS | {"monosemanticity": 0.02, "purity": 0.02}
"""Largest change that counts as none: by itself for the absolute ones, over the dense model's value
for the others. Those of neurons, and two of ours; fixed before any run."""
WORDS = {
    "fve": ("variance explained", "fraction"),
    "nmse": ("squared error over the variance", "fraction"),
    "l0": ("active latents per image", "latents"),
    "active": ("latents active on any evaluation image", "latents"),
    "dead": ("latents active on no evaluation image", "fraction"),
    "top_1": ("top-1 accuracy on the chosen classes", "fraction"),
    "top_1_change": ("change of top-1 with the reconstruction spliced in", "fraction"),
    "cross_entropy_change": ("change of cross-entropy with it spliced in", "nats"),
    "recovered": ("cross-entropy recovered by it, over what the mean loses", "fraction"),
    "top_latents": ("latents selected per class", "latents"),
    "frequent": ("latents active on 1 % of the evaluation images or more", "latents"),
    "factor_best": ("information on the best factor over its largest value, mean", "fraction"),
    "factor_gap": ("the same, best minus second best factor, mean", "fraction"),
    "one_factor_latents": ("frequent latents that speak of one factor", "fraction"),
}
"""Numbers that are no mean over classes, in words, with their units."""
TREND_NUMBERS = ("fve", "active", "frequent", "factor_best", "factor_gap", "one_factor_latents")
"""Those whose direction over sparsity is asked for."""


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model's autoencoders."""

    condition: Condition
    """The model."""
    sweep: Mapping[int, SAEScores]
    """k -> scores."""
    others: Mapping[str, SAEScores] = field(default_factory=dict)
    """Other method or tokens -> scores at the fixed k."""


def rows_of(measured: Sequence[ModelScores], k: int, seed: int) -> dict[str, NamedValue]:
    """Return every row's value for one seed, by the row's id; `k` is the fixed one."""
    found: dict[str, NamedValue] = {}
    for one in measured:
        points = {f"k{number}": scores for number, scores in one.sweep.items()} | dict(one.others)
        for place, at_point in points.items():
            found |= _number_rows(one.condition, place, at_point)
            found |= _mean_rows(one.condition, place, at_point)
    for comparison in COMPARISONS if _has_sweep(measured) else (FIXED,):
        target, scores = compared(measured, comparison, k)
        if comparison != FIXED:
            number = MATCHED[comparison]
            words, unit = WORDS[number]
            found[f"target/{comparison}"] = (f"common value of {words}", {}, unit, target)
        found |= _comparison_rows(measured, comparison, scores, seed)
    return found


def compared(
    measured: Sequence[ModelScores], comparison: str, k: int
) -> tuple[float, list[SAEScores]]:
    """Return the common value (k itself for the fixed k), and every model's scores there.

    Targets start from the dense model with the recovery's steps.
    """
    if comparison == FIXED:
        return float(k), [one.sweep[k] for one in measured]
    number = MATCHED[comparison]
    # False sorts before True: the dense model with the recovery's steps comes first.
    ordered = sorted(measured, key=lambda one: one.condition.name != TUNED)
    target = target_of([one.sweep for one in ordered], number, k)
    return target, [at_target(one.sweep, number, target) for one in measured]


def _has_sweep(measured: Sequence[ModelScores]) -> bool:
    return all(len(one.sweep) > 1 for one in measured)


def _comparison_rows(
    measured: Sequence[ModelScores], place: str, scores: Sequence[SAEScores], seed: int
) -> dict[str, NamedValue]:
    found: dict[str, NamedValue] = {}
    for one, of_model in zip(measured, scores, strict=True):
        found |= _number_rows(one.condition, place, of_model)
        found |= _mean_rows(one.condition, place, of_model, seed)
    by_name = {one.condition.name: s for one, s in zip(measured, scores, strict=True)}
    for control in (DENSE, TUNED):
        for one, of_model in zip(measured, scores, strict=True):
            if one.condition.name not in (DENSE, control):
                found |= _change_rows(place, one.condition, of_model, control, by_name[control],
                                      seed)  # fmt: skip
    alike = [
        (one.condition.sparsity, s)
        for one, s in zip(measured, scores, strict=True)
        if one.condition.recovered
    ]
    return found | _trend_rows(place, alike, seed)


def _number_rows(condition: Condition, place: str, scores: SAEScores) -> dict[str, NamedValue]:
    cell = condition.cell() | {"place": place}
    found: dict[str, NamedValue] = {}
    for name, value in scores.numbers.items():
        words, unit = number_words(name)
        found[f"{name}/{place}/{condition.name}"] = (words, cell, unit, value)
    return found


def number_words(name: str) -> tuple[str, str]:
    """Return a number in words, and its unit."""
    stem = name.removesuffix("_shuffled")
    factor = stem.removeprefix("follows_")
    words, unit = WORDS.get(stem, (f"frequent latents that speak of {factor} alone", "fraction"))
    return words + (", factors shuffled" if stem != name else ""), unit


def _mean_rows(
    condition: Condition, place: str, scores: SAEScores, seed: int | None = None
) -> dict[str, NamedValue]:
    """Return means over classes; with a seed, also the ends of their intervals."""
    found: dict[str, NamedValue] = {}
    for (metric, selection), values in scores.per_class.items():
        words, unit = METRICS[metric]
        cell = condition.cell() | {"selection": selection, "place": place}
        ends = [("", "", float(values.nanmean()))]
        if seed is not None:
            interval = bootstrap_mean(values, seed=seed)
            ends += [
                ("_low", ", low end over classes", interval.low),
                ("_high", ", high end over classes", interval.high),
            ]
        for suffix, what, value in ends:
            name = f"{metric}{suffix}/{selection}/{place}/{condition.name}"
            found[name] = (words + what, cell, unit, value)
    return found


def _change_rows(
    place: str, condition: Condition, after: SAEScores, against: str, before: SAEScores, seed: int
) -> dict[str, NamedValue]:
    """Return the change of the top latents' metrics with its 90 % interval and the outcome."""
    found: dict[str, NamedValue] = {}
    for metric in METRICS:
        first, second = before.per_class[metric, "top"], after.per_class[metric, "top"]
        scale = 1.0 if metric in ABSOLUTE else abs(float(first.nanmean()))
        margin = MARGINS[metric] * scale
        low, mean, high, verdict = _change(first, second, margin, seed)
        words, unit = METRICS[metric]
        cell = condition.cell() | {"place": place, "against": against}
        for name, what, of, value in (
            ("change", f"change against {against}: ", unit, mean),
            ("change_low", f"low end (90 %) of the change against {against}: ", unit, low),
            ("change_high", f"high end (90 %) of the change against {against}: ", unit, high),
            ("margin", "largest change that counts as none: ", unit, margin),
            ("equivalent", "1 equivalent, 0 undecided, -1 different: ", "verdict", verdict),
        ):
            row = f"{metric}_{name}/{place}/{condition.name}/{against}"
            found[row] = (what + words, cell, of, value)
    return found


def _change(
    before: Float64[Tensor, " C"], after: Float64[Tensor, " C"], margin: float, seed: int
) -> tuple[float, float, float, float]:
    """Return low end, mean and high end of a change, and the verdict's number.

    Without a margin (a dense value of NaN or 0), or a class with both values, there is no test: all
    are NaN, so that sweeps that do not meet are not taken for undecided.
    """
    if not margin > 0:
        return math.nan, math.nan, math.nan, math.nan
    test = equivalence_test(before, after, margin=margin, seed=seed)
    interval = test.difference
    verdict = VERDICTS[test.verdict] if interval.n_classes else math.nan
    return interval.low, interval.mean, interval.high, verdict


def _trend_rows(
    place: str, alike: Sequence[tuple[float, SAEScores]], seed: int
) -> dict[str, NamedValue]:
    """Return the trend over the models that took the recovery's steps; none with fewer than three.

    Of a metric it is a mean over classes with its interval, of a number a rank correlation alone.
    """
    if len(alike) < 3:
        return {}
    found: dict[str, NamedValue] = {}
    sparsities = [sparsity for sparsity, _ in alike]
    for metric, selection in alike[0][1].per_class:
        values = torch.stack([scores.per_class[metric, selection] for _, scores in alike])
        test = trend_test(sparsities, values, seed=seed)
        # No class with a value at every sparsity is no finding, least of all that of no trend.
        verdict = TRENDS[test.verdict] if test.rank.n_classes else math.nan
        cell: Cell = {"selection": selection, "place": place}
        words = METRICS[metric][0]
        for name, what, value in (
            ("trend", "rank correlation with sparsity: ", test.rank.mean),
            ("trend_low", "low end of the rank correlation with sparsity: ", test.rank.low),
            ("trend_high", "high end of the rank correlation with sparsity: ", test.rank.high),
            ("trend_verdict", "1 rises, 0 no trend, -1 falls: ", verdict),
        ):
            found[f"{metric}_{name}/{selection}/{place}"] = (what + words, cell, "1", value)
    for name in _there(TREND_NUMBERS, alike[0][1]):
        numbers = [scores.numbers[name] for _, scores in alike]
        pair = torch.tensor([sparsities, numbers], dtype=torch.float64)
        rank = float(rank_correlation(pair[:1], pair[1:]))
        words = f"rank correlation with sparsity: {number_words(name)[0]}"
        found[f"{name}_trend/{place}"] = (words, {"place": place}, "1", rank)
    return found


def _there(names: Iterable[str], scores: SAEScores) -> list[str]:
    return [name for name in names if name in scores.numbers]
