"""Study: does the path to the paper's own model work, and what would it cost?

Neither the checkpoint of {cite:t}`zhang2026impact` nor ImageNet-1k is shipped. The architecture
is: with random weights every level of the study runs on a few random images, its counts are given,
and its seconds per image measured. From the forward pass follows an estimate of the full study at
this device's speed. Random weights say nothing of accuracy.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from seethrough.attribution.insertion_deletion import insertion_deletion
from seethrough.attribution.transformer_attribution import transformer_attribution
from seethrough.models.pretrained import RANDOM, load_classifier
from seethrough.models.study_cost import cost_estimate
from seethrough.models.vit_sizes import vit_sizes
from seethrough.neurons.ablation_impact import ablation_impact
from seethrough.neurons.activation_statistics import activation_statistics
from seethrough.neurons.attribution_patching import attribution_patching, top_units
from seethrough.neurons.sites import AttentionHeads, MlpUnits
from seethrough.parameters import CUSTOM, build, load
from seethrough.pruning.apply_masks import apply_masks, density
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.study_run import Findings, stored_result
from seethrough.training.checks import at_least
from seethrough.training.device import check_device, thread_count
from seethrough.training.initialise import generator_for

COUNTS = {
    "parameters": "all trainable numbers",
    "prunable_weights": "weights of qkv, proj, fc1 and fc2",
    "circuit_sites": "places of circuit masks, 8 per block",
    "sae_latents": "latents of an autoencoder of 32 per channel",
    "nodes_per_channel": "circuit nodes, q, k and v by channel",
    "nodes_per_head": "circuit nodes, q, k and v by head",
    "forward_flops": "operations of one image's forward pass",
}
"""What is counted, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of the study; the defaults are the `smoke` scale."""

    model: str = "deit3_small_patch16_224"
    """timm's name of a plain vision transformer."""
    n_images: int = 1
    """Random images, at least 1."""
    n_steps: int = 4
    """Steps of insertion and of deletion, at least 1."""
    sparsity: float = 0.7
    """Share of the prunable weights removed, 0 to 1."""
    seed: int = 0
    """Decides weights and images."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""

    def __post_init__(self) -> None:
        for name in ("n_images", "n_steps"):
            at_least(name, getattr(self, name), 1)
        if not 0 <= self.sparsity <= 1:
            raise ValueError(f"sparsity is {self.sparsity}, allowed is 0 to 1")
        check_device(self.device)


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("impact_full_scale", parameters, store, measure)


def of_profile(profile: str) -> Parameters:
    """Return the study's parameters at a profile's scale, the defaults for "custom".

    Raises ParameterError for another name that is no profile.
    """
    if profile == CUSTOM:
        return Parameters()
    return build(Parameters, load(profile, "impact_full_scale"))


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Run every level on random images; return counts, seconds per image, memory and the cost.

    On one CPU thread, so that the seconds mean the same wherever they are taken.
    """
    with thread_count(1):
        return _measured(parameters)


def _measured(parameters: Parameters) -> Findings:
    started = time.monotonic()
    classifier = load_classifier(parameters.model, RANDOM, seed=parameters.seed)
    model = classifier.model.to(parameters.device)
    side = classifier.preprocessing.size
    draws = generator_for(parameters.seed, "full scale")
    images = torch.randn(parameters.n_images, 3, side, side, generator=draws).to(parameters.device)
    labels = torch.zeros(len(images), dtype=torch.int64, device=parameters.device)
    sizes = vit_sizes(model)
    rows = [_row(f"count/{name}", COUNTS[name], "1", getattr(sizes, name)) for name in COUNTS]
    # The first pass of a process also pays for what torch sets up once.
    _forward(model, images)
    seconds = {"forward": _seconds(lambda: _forward(model, images), parameters)}
    pruning = PruningConfig(sparsity=parameters.sparsity)
    masks = prune_masks(model, [images], pruning)
    seconds["wanda"] = _seconds(lambda: prune_masks(model, [images], pruning), parameters)
    apply_masks(model, masks)
    rows.append(_row("density", "prunable weights that are not zero", "fraction", density(model)))
    last = len(model.blocks) - 1
    sites = (MlpUnits(block=last), AttentionHeads(block=last))
    batches = [(images, labels)]
    found = activation_statistics(model, batches, sites, classifier.n_classes)
    means = {site: found[site].mean.float() for site in sites}

    def neurons() -> None:
        scores = attribution_patching(model, batches, means, classifier.n_classes)
        top = top_units({site: score.nan_to_num() for site, score in scores.items()}, 50)
        ablation_impact(model, batches, {"top": top}, means)

    def attribution() -> None:
        maps = transformer_attribution(model, images)
        rows.append(_row("map_cells", "cells of an attribution map", "1", maps[0].numel()))
        insertion_deletion(model, images, maps, steps=parameters.n_steps)

    seconds["neurons"] = _seconds(neurons, parameters)
    seconds["attribution"] = _seconds(attribution, parameters)
    rows += [
        _row(f"seconds_per_image/{name}", f"seconds per image, {name}", "s", value)
        for name, value in seconds.items()
    ]
    rows.append(
        _row("memory", "largest memory of the process", "bytes", _memory(parameters.device))
    )
    rows += [
        _row(f"full_cost/{cost.level}", f"hours of the full study here, {cost.level}", "h",
             cost.seconds / 3600)
        for cost in cost_estimate(1 / seconds["forward"])
    ]  # fmt: skip
    return Findings(rows, [], time.monotonic() - started)


@torch.no_grad()
def _forward(model: torch.nn.Module, images: torch.Tensor) -> None:
    model(images)


def _seconds(work: Callable[[], object], parameters: Parameters) -> float:
    """Return the seconds per image of one run of `work`."""
    started = time.perf_counter()
    work()
    if parameters.device != "cpu":
        torch.cuda.synchronize(parameters.device)
    return (time.perf_counter() - started) / parameters.n_images


def _memory(device: str) -> int:
    """Return the largest memory that the process, or torch on a CUDA device, held so far."""
    if device != "cpu":
        return torch.cuda.max_memory_allocated(device)
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else 1024 * largest


def _row(name: str, quantity: str, unit: str, value: int | float) -> Row:
    return Row(name, quantity, {}, unit, (float(value),))
