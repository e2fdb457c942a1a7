"""Study: are the neurons of a pruned model easier to understand?

Level 1 of {cite:t}`zhang2026impact`, claim C3: no, by four metrics of the 50 units of a block that
matter most to a class. Here with what the paper lacks: 50 random units and all units as baselines,
intervals over classes, a dense model that took the recovery's steps, tests of equivalence and of
trend, a check of attribution patching against true patching, and, where the factors of the images
are known, what each unit knows of them.

A block's MLP units and heads are ranked together. All metrics are means over the selected units,
class by class; rows hold the mean over classes, one value per seed, and beside it the ends of the
95 % bootstrap interval over classes (`..._low`, `..._high`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64
from scipy.stats import spearmanr  # type: ignore[import-untyped]
from torch import Tensor, nn

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.metrics.information_scores import shuffled
from seethrough.neurons.ablation_impact import ablation_impact
from seethrough.neurons.activation_statistics import activation_statistics
from seethrough.neurons.attribution_patching import attribution_patching, top_units
from seethrough.neurons.baseline_units import all_units, random_units
from seethrough.neurons.bootstrap import bootstrap_mean
from seethrough.neurons.class_selectivity import class_selectivity
from seethrough.neurons.class_variance import class_variance
from seethrough.neurons.equivalence import equivalence_test
from seethrough.neurons.factor_information import factor_information
from seethrough.neurons.label_entropy import label_entropy
from seethrough.neurons.selected_mean import selected_mean
from seethrough.neurons.sites import AttentionHeads, Batches, MlpUnits, Site
from seethrough.neurons.trend import trend_test
from seethrough.neurons.true_patching import true_patching
from seethrough.neurons.unit_activations import UnitActivations, unit_activations
from seethrough.results import Cell, Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import (
    DENSE,
    TUNED,
    Condition,
    ImpactParameters,
    Material,
    material,
    models,
    seconds_of,
)
from seethrough.studies.study_run import Findings, stored_result
from seethrough.training.initialise import generator_for

METRICS = {
    "impact": ("logit lost by ablating the units, over the logits' norm", "1"),
    "selectivity": ("AUROC of a unit's class-token activation for the class", "AUROC"),
    "variance": ("coefficient of variation of a unit's largest patch activation", "1"),
    "entropy": ("entropy of a unit's activation over classes", "nats"),
}
"""The four metrics of a unit, in words, with their units."""
SELECTIONS = ("top", "random", "all")
MARGINS = {"impact": 0.1, "selectivity": 0.02, "variance": 0.1, "entropy": 0.05}
"""Largest change that counts as none: AUROC by itself, the others over the dense model's value.
Fixed before any run."""
VERDICTS = {"equivalent": 1.0, "undecided": 0.0, "different": -1.0}
TRENDS = {"rises": 1.0, "no trend": 0.0, "falls": -1.0}
READINGS = ("class_token", "patch_maximum")
SPECIALISED_SHARE, SPECIALISED_RATIO = 0.1, 2.0
"""A unit speaks of one factor if it has at least this share of the factor's entropy, and this many
times what it has of any other."""

PerClass = dict[tuple[str, str, int], Float64[Tensor, " C"]]
"""(metric, selection, block) -> one value per class, NaN for classes without images."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    blocks: tuple[int, ...] = (1, 3, 5)
    """Blocks looked at, from 0, each once; the paper has 2, 7 and 11 of 12."""
    n_classes: int = 6
    """Classes looked at, spread evenly over all."""
    images_per_class: int = 8
    """Held-out images of each, or as many as there are."""
    n_units: int = 50
    """Units that are selected per block and class."""
    n_mean_images: int = 64
    """Training images whose mean activation replaces an ablated unit."""
    n_patched_units: int = 4
    """MLP units per block on which attribution patching is checked against true patching."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        ImpactParameters.__post_init__(self)
        if not self.blocks or len(set(self.blocks)) < len(self.blocks) or min(self.blocks) < 0:
            raise ValueError(f"blocks is {self.blocks}, allowed is one or more from 0, each once")
        for name, least in (("n_classes", 2), ("images_per_class", 2), ("n_units", 1),
                            ("n_mean_images", 1), ("n_patched_units", 2)):  # fmt: skip
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is at least {least}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model's units did."""

    condition: Condition
    """The model."""
    per_class: PerClass
    """The four metrics."""
    numbers: dict[str, float]
    """Part of a row's name to its value: what is not a mean over classes."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("impact_neurons", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return all metrics of all models with their intervals, and how they move with sparsity."""
    source, conditions = material(parameters), parameters.conditions()
    check_blocks(source.classifier.model, parameters.blocks)
    found: dict[int, list[Measured]] = {seed: [] for seed in parameters.seeds}
    done: dict[str, Measured] = {}
    for condition, seed, model in models(parameters, conditions, store):
        if condition.method != DENSE or DENSE not in done:
            done[condition.name] = measure_model(model, condition, source, parameters, seed)
        found[seed].append(done[condition.name])
    by_seed = [rows_of(found[seed], parameters, seed) for seed in parameters.seeds]
    rows = [
        Row(name, quantity, cell, unit, tuple(some[name][3] for some in by_seed))
        for name, (quantity, cell, unit, _) in by_seed[0].items()
    ]
    return Findings(rows, [], seconds_of(parameters, conditions, store))


def measure_model(
    model: nn.Module, condition: Condition, source: Material, parameters: Parameters, seed: int
) -> Measured:
    """Return the metrics of one model's units."""
    classes = chosen_classes(len(source.evaluation.class_names), parameters.n_classes)
    images = source.of_classes(classes, parameters.images_per_class)
    batches = _Batches(source, images, parameters)
    rows = source.sample(parameters.n_mean_images, seed, "means")
    n_classes = len(source.evaluation.class_names)
    sites = sites_of(parameters.blocks)
    training = source.training.batches(rows, parameters.batch_size, parameters.device)
    statistics = activation_statistics(model, training, sites, n_classes)
    means = {site: statistics[site].mean.float() for site in sites}
    scores = attribution_patching(model, batches, means, n_classes)
    selected = selections(scores, parameters, n_classes, seed)
    activations, labels = unit_activations(model, batches, sites)
    per_class: PerClass = {}
    named = {
        f"{name}/{block}": {site: units[site] for site in sites if site.block == block}
        for name, units in selected.items()
        for block in parameters.blocks
    }
    for name, lost in ablation_impact(model, batches, named, means).items():
        selection, number = name.split("/")
        per_class["impact", selection, int(number)] = lost.cpu()
    for block in parameters.blocks:
        per_class |= unit_metrics(block, activations, labels, selected, n_classes)
    numbers = patching_check(model, batches, scores, means, parameters, n_classes, seed)
    numbers |= heads_among(selected["top"], parameters.blocks)
    if isinstance(source.evaluation, Shapes3DClasses):
        numbers |= factor_numbers(model, source, parameters, seed)
    return Measured(condition, per_class, numbers)


def unit_metrics(
    block: int,
    activations: Mapping[Site, UnitActivations],
    labels: Int64[Tensor, " N"],
    selected: Mapping[str, Mapping[Site, Bool[Tensor, "C _"]]],
    n_classes: int,
) -> PerClass:
    """Return selectivity, variance and entropy of a block's selected units, class by class."""
    sites = [site for site in activations if site.block == block]
    token = torch.cat([activations[site].class_token for site in sites], dim=1)
    patches = torch.cat([activations[site].patch_maximum for site in sites], dim=1)
    values: dict[str, Tensor] = {
        "selectivity": class_selectivity(token, labels, n_classes),
        "variance": class_variance(patches, labels, n_classes),
        "entropy": label_entropy(token, labels, n_classes)[None],
    }
    present = torch.bincount(labels, minlength=n_classes).cpu() > 0
    found: PerClass = {}
    for name, of_site in selected.items():
        units = torch.cat([of_site[site].to(token.device) for site in sites], dim=1)
        for metric, value in values.items():
            mean = selected_mean(value, units).cpu()
            found[metric, name, block] = torch.where(present, mean, torch.nan)
    return found


def selections(
    scores: Mapping[Site, Float64[Tensor, "C _"]], parameters: Parameters, n_classes: int, seed: int
) -> dict[str, dict[Site, Bool[Tensor, "C _"]]]:
    """Return the top units, as many random ones, and all, for each class, by selection."""
    found: dict[str, dict[Site, Tensor]] = {name: {} for name in SELECTIONS}
    for block in parameters.blocks:
        of_block = {site: values for site, values in scores.items() if site.block == block}
        sizes = {site: values.shape[1] for site, values in of_block.items()}
        count = min(parameters.n_units, sum(sizes.values()))
        draws = generator_for(seed, "random units", block)
        device = next(iter(of_block.values())).device
        random = random_units(sizes, count, n_classes, draws)
        found["top"] |= top_units(of_block, count)
        found["random"] |= {site: units.to(device) for site, units in random.items()}
        found["all"] |= {site: u.to(device) for site, u in all_units(sizes, n_classes).items()}
    return found


def patching_check(
    model: nn.Module,
    batches: Batches,
    scores: Mapping[Site, Float64[Tensor, "C _"]],
    means: Mapping[Site, Float[Tensor, "_ _"]],
    parameters: Parameters,
    n_classes: int,
    seed: int,
) -> dict[str, float]:
    """Return Spearman's correlation of predicted and measured effects over classes and units.

    Half of the units are the highest ranked on average, half are drawn from the others.
    """
    found = {}
    for block in parameters.blocks:
        site = MlpUnits(block=block)
        order = scores[site].nanmean(dim=0).argsort().cpu()
        half = parameters.n_patched_units // 2
        draw = torch.randperm(len(order) - half, generator=generator_for(seed, "patched", block))
        others = order[half:][draw[: parameters.n_patched_units - half]]
        units = torch.cat([order[:half], others])
        measured = true_patching(model, batches, site, means[site], units, n_classes)
        predicted = scores[site][:, units.to(scores[site].device)]
        there = ~(measured.isnan() | predicted.isnan())
        pairs = (predicted[there].cpu().numpy(), measured[there].cpu().numpy())
        found[f"patching_rank_correlation/{block}"] = float(spearmanr(*pairs)[0])
    return found


def heads_among(top: Mapping[Site, Bool[Tensor, "C _"]], blocks: Sequence[int]) -> dict[str, float]:
    """Return the share of heads among the selected units of each block."""
    found = {}
    for block in blocks:
        heads = int(top[AttentionHeads(block=block)].sum())
        total = sum(int(units.sum()) for site, units in top.items() if site.block == block)
        found[f"heads_among_top/{block}"] = heads / total if total else math.nan
    return found


def factor_numbers(
    model: nn.Module, source: Material, parameters: Parameters, seed: int
) -> dict[str, float]:
    """Return what the MLP units know of the factors, and the same of shuffled factors."""
    images = source.evaluation
    assert isinstance(images, Shapes3DClasses)
    rows = source.heldout[: parameters.n_evaluation]
    sites = tuple(MlpUnits(block=block) for block in parameters.blocks)
    found, _ = unit_activations(model, _Batches(source, rows, parameters), sites)
    factors = images.factor_classes(rows)
    numbers = {}
    for site in sites:
        for reading in READINGS:
            values = getattr(found[site], reading).cpu()
            for suffix, known in (
                ("", factors),
                ("_shuffled", shuffled(factors, generator_for(seed, "factors"))),
            ):
                information = factor_information(values, known)
                best = information.normalised.topk(2, dim=1).values
                alone = (best[:, 0] >= SPECIALISED_SHARE) & (
                    best[:, 0] >= SPECIALISED_RATIO * best[:, 1]
                )
                place = f"{reading}/{site.block}"
                numbers[f"factor_best{suffix}/{place}"] = float(information.best.mean())
                numbers[f"factor_gap{suffix}/{place}"] = float(information.gap.mean())
                numbers[f"one_factor_units{suffix}/{place}"] = float(alone.double().mean())
                if not suffix:
                    for number, factor in enumerate(FACTOR_NAMES):
                        mean = float(information.normalised[:, number].mean())
                        numbers[f"information_{factor}/{place}"] = mean
    return numbers


WORDS = {
    "patching_rank_correlation": (
        "rank correlation of attribution patching and true patching, MLP units", "1"),
    "heads_among_top": ("heads among the selected units", "fraction"),
    "factor_best": ("largest share of a factor's entropy that a unit has, mean", "fraction"),
    "factor_gap": ("largest minus second largest share, mean over units", "fraction"),
    "one_factor_units": ("units that speak of one factor", "fraction"),
}  # fmt: skip
"""Numbers that are no mean over classes, in words, with their units."""

NamedValue = tuple[str, Cell, str, float]
"""Quantity in words, cell, unit and value of a row for one seed."""


def rows_of(
    measured: Sequence[Measured], parameters: Parameters, seed: int
) -> dict[str, NamedValue]:
    """Return every row's value for one seed, by the row's id."""
    found: dict[str, NamedValue] = {}
    for one in measured:
        found |= _mean_rows(one, seed)
        for name, value in one.numbers.items():
            head, _, place = name.partition("/")
            shuffled_words = ", factors shuffled" if head.endswith("_shuffled") else ""
            words, unit = WORDS.get(
                head.removesuffix("_shuffled"),
                (f"share of {head.removeprefix('information_')} that a unit has, mean", "fraction"),
            )
            cell = one.condition.cell() | {"place": place}
            found[f"{name}/{one.condition.name}"] = (words + shuffled_words, cell, unit, value)
    by_name = {one.condition.name: one for one in measured}
    for one in measured:
        if one.condition.method != DENSE:
            for control in {DENSE, TUNED} - {one.condition.name}:
                found |= _change_rows(by_name[control], one, seed)
    return found | _trend_rows(measured, seed)


def _mean_rows(one: Measured, seed: int) -> dict[str, NamedValue]:
    found: dict[str, NamedValue] = {}
    for (metric, selection, block), values in one.per_class.items():
        words, unit = METRICS[metric]
        interval = bootstrap_mean(values, seed=seed)
        cell = one.condition.cell() | {"selection": selection, "block": block}
        place = f"{selection}/{block}/{one.condition.name}"
        for suffix, what, value in (
            ("", "", interval.mean),
            ("_low", ", low end over classes", interval.low),
            ("_high", ", high end over classes", interval.high),
        ):
            found[f"{metric}{suffix}/{place}"] = (words + what, cell, unit, value)
    return found


def _change_rows(control: Measured, one: Measured, seed: int) -> dict[str, NamedValue]:
    """Return the change against a dense model with its 90 % interval and the test's outcome."""
    found: dict[str, NamedValue] = {}
    against = control.condition.name
    for (metric, selection, block), values in one.per_class.items():
        if selection != "top":
            continue
        before = control.per_class[metric, selection, block]
        scale = 1.0 if metric == "selectivity" else abs(float(before.nanmean()))
        margin = MARGINS[metric] * scale
        test = equivalence_test(before, values, margin=margin, seed=seed)
        place = f"{block}/{one.condition.name}/{against}"
        words, unit = METRICS[metric]
        cell = one.condition.cell() | {"block": block, "against": against}
        for name, what, of, value in (
            ("change", f"change against {against}: ", unit, test.difference.mean),
            ("change_low", f"low end (90 %) of the change against {against}: ", unit,
             test.difference.low),
            ("change_high", f"high end (90 %) of the change against {against}: ", unit,
             test.difference.high),
            ("margin", "largest change that counts as none: ", unit, margin),
            ("equivalent", "1 equivalent, 0 undecided, -1 different: ", "verdict",
             VERDICTS[test.verdict]),
        ):  # fmt: skip
            found[f"{metric}_{name}/{place}"] = (what + words, cell, of, value)
    return found


def _trend_rows(measured: Sequence[Measured], seed: int) -> dict[str, NamedValue]:
    """Return the trend of each metric over the models that took the recovery's steps.

    The dense one among them stands at sparsity 0. None with fewer than three.
    """
    alike = [one for one in measured if one.condition.recovered]
    if len(alike) < 3:
        return {}
    found: dict[str, NamedValue] = {}
    for metric, selection, block in alike[0].per_class:
        values = torch.stack([one.per_class[metric, selection, block] for one in alike])
        test = trend_test([one.condition.sparsity for one in alike], values, seed=seed)
        cell: Cell = {"selection": selection, "block": block}
        words = METRICS[metric][0]
        for name, what, value in (
            ("trend", "rank correlation with sparsity: ", test.rank.mean),
            ("trend_low", "low end of the rank correlation with sparsity: ", test.rank.low),
            ("trend_high", "high end of the rank correlation with sparsity: ", test.rank.high),
            ("trend_verdict", "1 rises, 0 no trend, -1 falls: ", TRENDS[test.verdict]),
        ):
            found[f"{metric}_{name}/{selection}/{block}"] = (what + words, cell, "1", value)
    return found


def chosen_classes(n_all: int, n_chosen: int) -> Int64[Tensor, " n"]:
    """Return classes spread evenly over all, all if there are no more; from 0.

    >>> chosen_classes(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return torch.linspace(0, n_all - 1, min(n_chosen, n_all)).round().long()


def sites_of(blocks: Sequence[int]) -> tuple[Site, ...]:
    """Return the MLP units and the heads of every block."""
    return tuple(site for b in blocks for site in (MlpUnits(block=b), AttentionHeads(block=b)))


def check_blocks(model: nn.Module, blocks: Sequence[int]) -> None:
    """Raise ValueError for a block that the model lacks."""
    vit: Any = model
    n_blocks = len(vit.blocks)
    for block in blocks:
        if block >= n_blocks:
            raise ValueError(f"blocks has {block}, allowed is 0 to {n_blocks - 1}")


class _Batches:
    """Batches that can be read more than once."""

    def __init__(
        self, source: Material, index: Int64[Tensor, " N"], parameters: ImpactParameters
    ) -> None:
        self.source, self.index, self.parameters = source, index, parameters

    def __iter__(self):  # type: ignore[no-untyped-def]
        return self.source.evaluation.batches(
            self.index, self.parameters.batch_size, self.parameters.device
        )
