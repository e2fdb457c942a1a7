"""Study: are the neurons of a pruned model easier to understand?

Level 1 of {cite:t}`zhang2026impact`, claim C3: no, by four metrics of the 50 units of a block that
matter most to a class. Here with what the paper lacks: 50 random units and all units as baselines,
intervals over classes, a dense model that took the recovery's steps, tests of equivalence and of
trend, a check of attribution patching against true patching, and, where the factors of the images
are known, what each unit knows of them.

A block's MLP units and heads are ranked together. All metrics are means over the selected units,
class by class; rows hold the mean over classes, one value per seed, and beside it the ends of the
95 % bootstrap interval over classes (`..._low`, `..._high`). Units are ranked and judged on the
same images, of the chosen classes alone: selectivity is against the other chosen classes, and
entropy is at most the logarithm of their number.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.metrics.information_scores import shuffled
from seethrough.neurons.ablation_impact import ablation_impact
from seethrough.neurons.activation_statistics import activation_statistics
from seethrough.neurons.attribution_patching import attribution_patching, top_units
from seethrough.neurons.baseline_units import all_units, random_units
from seethrough.neurons.class_selectivity import class_selectivity
from seethrough.neurons.class_variance import class_variance
from seethrough.neurons.factor_information import FactorInformation, factor_information
from seethrough.neurons.label_entropy import label_entropy
from seethrough.neurons.rank_correlation import rank_correlation
from seethrough.neurons.selected_mean import selected_mean
from seethrough.neurons.sites import AttentionHeads, Batches, MlpUnits, Site, sites_of
from seethrough.neurons.true_patching import true_patching
from seethrough.neurons.unit_activations import UnitActivations, unit_activations
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import (
    Condition,
    ImpactParameters,
    Material,
    material,
    models,
    seconds_of,
)
from seethrough.studies.neuron_rows import SELECTIONS, Measured, PerClass, rows_of
from seethrough.studies.study_run import Findings, stored_result
from seethrough.training.initialise import generator_for

READINGS = ("class_token", "patch_maximum")
SPECIALISED_SHARE, SPECIALISED_RATIO = 0.1, 2.0
"""A unit speaks of one factor if it has at least this share of the factor's entropy, and this many
times what it has of any other."""
Place = tuple[str, int]
"""(reading, block)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    blocks: tuple[int, ...] = (1, 3, 5)
    """Blocks looked at, from 0, each once; the paper has 2, 7 and 11 of 12."""
    n_classes: int = 4
    """Classes looked at, spread evenly over all."""
    images_per_class: int = 4
    """Held-out images of each, or as many as there are."""
    n_units: int = 50
    """Units that are selected per block and class."""
    n_mean_images: int = 32
    """Training images whose mean activation replaces an ablated unit."""
    n_patched_units: int = 2
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


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("impact_neurons", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return all metrics of all models with their intervals, and how they move with sparsity."""
    source, conditions = material(parameters), parameters.conditions()
    check_blocks(source.classifier.model, parameters.blocks)
    found: dict[int, list[Measured]] = {seed: [] for seed in parameters.seeds}
    # The dense model is measured for every seed: means and random units are drawn by seed.
    for condition, seed, model in models(parameters, conditions, store):
        found[seed].append(measure_model(model, condition, source, parameters, seed))
    by_seed = [rows_of(found[seed], seed) for seed in parameters.seeds]
    rows = [
        Row(name, quantity, cell, unit, tuple(some[name][3] for some in by_seed))
        for name, (quantity, cell, unit, _) in by_seed[0].items()
    ]
    return Findings(rows, [], seconds_of(parameters, conditions, store))


def measure_model(
    model: nn.Module, condition: Condition, source: Material, parameters: Parameters, seed: int
) -> Measured:
    """Return the metrics of one model's units."""
    n_classes = len(source.evaluation.class_names)
    classes = chosen_classes(n_classes, parameters.n_classes)
    images = source.of_classes(classes, parameters.images_per_class)
    batches = _Batches(source, images, parameters)
    means = unit_means(model, source, parameters, seed)
    scores = attribution_patching(model, batches, means, n_classes)
    selected = selections(scores, parameters, n_classes, seed)
    per_class = impacts(model, batches, selected, means, parameters.blocks)
    activations, labels = unit_activations(model, batches, tuple(means))
    for block in parameters.blocks:
        per_class |= unit_metrics(block, activations, labels, selected, n_classes)
    numbers = patching_check(model, batches, scores, means, parameters, n_classes, seed)
    numbers |= heads_among(selected, parameters.blocks)
    if isinstance(source.evaluation, Shapes3DClasses):
        numbers |= factor_numbers(model, source, parameters, seed)
    return Measured(condition, per_class, numbers)


def unit_means(
    model: nn.Module, source: Material, parameters: Parameters, seed: int
) -> dict[Site, Float[Tensor, "_ _"]]:
    """Return what an ablated unit becomes: its mean over training images and tokens, by site."""
    rows = source.sample(parameters.n_mean_images, seed, "means")
    training = source.training.batches(rows, parameters.batch_size, parameters.device)
    sites = sites_of(model, parameters.blocks)
    statistics = activation_statistics(model, training, sites, len(source.training.class_names))
    return {site: statistics[site].mean.float() for site in sites}


def impacts(
    model: nn.Module,
    batches: Batches,
    selected: Mapping[str, Mapping[Site, Bool[Tensor, "C _"]]],
    means: Mapping[Site, Float[Tensor, "_ _"]],
    blocks: Sequence[int],
) -> PerClass:
    """Return what each class loses by each selection, one block ablated at a time."""
    named = {
        f"{name}/{block}": {site: chosen for site, chosen in units.items() if site.block == block}
        for name, units in selected.items()
        for block in blocks
    }
    found: PerClass = {}
    for place, lost in ablation_impact(model, batches, named, means).items():
        selection, block = place.split("/")
        found["impact", selection, int(block)] = lost.cpu()
    return found


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
        correlation = rank_correlation(predicted[there][None], measured[there][None])
        found[f"patching_rank_correlation/{block}"] = float(correlation)
    return found


def heads_among(
    selected: Mapping[str, Mapping[Site, Bool[Tensor, "C _"]]], blocks: Sequence[int]
) -> dict[str, float]:
    """Return the share of heads among the top units of each block, and among all its units."""
    found = {}
    for name in ("top", "all"):
        for block in blocks:
            units = {site: chosen for site, chosen in selected[name].items() if site.block == block}
            heads = int(units[AttentionHeads(block=block)].sum())
            total = sum(int(chosen.sum()) for chosen in units.values())
            found[f"heads_among_{name}/{block}"] = heads / total if total else math.nan
    return found


def factor_numbers(
    model: nn.Module, source: Material, parameters: Parameters, seed: int
) -> dict[str, float]:
    """Return what the MLP units know of the factors, and the same of shuffled factors."""
    activations, factors = factor_material(model, source, parameters)
    control = shuffled(factors, generator_for(seed, "factors"))
    numbers = {}
    for suffix, some in (("", factors), ("_shuffled", control)):
        for (reading, block), known in known_factors(activations, some).items():
            place = f"{suffix}/{reading}/{block}"
            numbers[f"factor_best{place}"] = float(known.best.mean())
            numbers[f"factor_gap{place}"] = float(known.gap.mean())
            numbers[f"one_factor_units{place}"] = float(of_one_factor(known).double().mean())
            means = known.normalised.mean(dim=0).tolist()
            for factor, mean in zip(FACTOR_NAMES, means, strict=True):
                numbers[f"information_{factor}{place}"] = mean
    return numbers


def factor_material(
    model: nn.Module, source: Material, parameters: Parameters
) -> tuple[dict[Site, UnitActivations], Int64[Tensor, "N F"]]:
    """Return activations of the MLP units on the first held-out images, and their factors."""
    images = source.evaluation
    assert isinstance(images, Shapes3DClasses)
    rows = source.heldout[: parameters.n_evaluation]
    sites = tuple(MlpUnits(block=block) for block in parameters.blocks)
    activations, _ = unit_activations(model, _Batches(source, rows, parameters), sites)
    return activations, images.factor_classes(rows)


def known_factors(
    activations: Mapping[Site, UnitActivations], factors: Int64[Tensor, "N F"]
) -> dict[Place, FactorInformation]:
    """Return what every unit knows of every factor, by reading and block."""
    return {
        (reading, site.block): factor_information(getattr(found, reading).cpu(), factors)
        for site, found in activations.items()
        for reading in READINGS
    }


def of_one_factor(known: FactorInformation) -> Bool[Tensor, " U"]:
    """Return which units speak of one factor."""
    best, second = known.normalised.topk(2, dim=1).values.unbind(dim=1)
    return (best >= SPECIALISED_SHARE) & (best >= SPECIALISED_RATIO * second)


def factor_tables(
    parameters: Parameters, store: ArtifactStore | None = None
) -> dict[Condition, dict[Place, FactorInformation]]:
    """Return what every MLP unit of every model knows of every factor, for the first seed.

    Nothing for images whose factors are not known.
    """
    first = replace(parameters, seeds=parameters.seeds[:1])
    source = material(first)
    if not isinstance(source.evaluation, Shapes3DClasses):
        return {}
    found = models(first, first.conditions(), store or ArtifactStore())
    return {
        condition: known_factors(*factor_material(model, source, parameters))
        for condition, _, model in found
    }


def chosen_classes(n_all: int, n_chosen: int) -> Int64[Tensor, " n"]:
    """Return classes spread evenly over all, all if there are no more; from 0.

    >>> chosen_classes(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return torch.linspace(0, n_all - 1, min(n_chosen, n_all)).round().long()


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
