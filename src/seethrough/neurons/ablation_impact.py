"""Ablation impact: what a class's logit loses when the units selected for it become their mean.

    impact_c = mean over images x of class c of (f_c(x) - f_c^abl(x)) / ||f(x)||_2

f holds the clean logits. All selected units are replaced at once, on every token, at every site of
the selection. Images of different classes share a batch: each image has its own class's units
replaced. Symbols: B images of a batch, U units of a site, V numbers per unit, C classes.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.attribution_patching import require_means
from seethrough.neurons.forward_from_block import block_inputs, forward_from_block
from seethrough.neurons.sites import Ablation, Batches, Site, ablated, frozen

Selection = Mapping[Site, Bool[Tensor, "C _"]]
"""For each site, True for the units selected for each class."""


def ablation_impact(
    model: nn.Module,
    batches: Batches,
    selections: Mapping[str, Selection],
    means: Mapping[Site, Float[Tensor, "_ _"]],
) -> dict[str, Float64[Tensor, " C"]]:
    """Return the ablation impact on each class, for each selection by its name.

    Positive: the class loses. 0 for a class of which no unit is selected, NaN for one without
    images; an image whose logits are all 0 makes its class NaN or infinite. The clean pass is
    shared by all selections, and a selection's own pass starts at its first block. The model runs
    in evaluation mode and is left as it was.

    Raises:
        ValueError: no selection, one of no sites, of a site without a mean, or of another shape;
            masks of different numbers of classes; a mean of another shape.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    require_means(model, means)
    n_classes = _number_of_classes(selections, means)
    device = next(model.parameters()).device
    counts = torch.zeros(n_classes, dtype=torch.int64, device=device)
    totals = {
        name: torch.zeros(n_classes, dtype=torch.float64, device=device) for name in selections
    }
    for images, labels in batches:
        counts.index_add_(0, labels, torch.ones_like(labels))
        for name, drops in _drops(model, images, labels, selections, means).items():
            totals[name].index_add_(0, labels, drops)
    return {name: total / counts for name, total in totals.items()}


@torch.no_grad()
def _drops(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, " B"],
    selections: Mapping[str, Selection],
    means: Mapping[Site, Float[Tensor, "_ _"]],
) -> dict[str, Float64[Tensor, " B"]]:
    """Return the normalised drop of each image's own class logit, for each selection."""
    first = {name: min(site.block for site in chosen) for name, chosen in selections.items()}
    drops = {}
    with frozen(model):
        with block_inputs(model, set(first.values())) as inputs:
            clean = model(images).double()
        norm = clean.norm(dim=1)
        for name, chosen in selections.items():
            ablations = {
                site: Ablation(units=units[labels], mean=means[site])  # (B, U)
                for site, units in chosen.items()
            }
            with ablated(model, ablations):
                logits = forward_from_block(model, inputs[first[name]], first[name]).double()
            lost = (clean - logits).gather(1, labels[:, None])[:, 0]
            drops[name] = lost / norm
    return drops


def _number_of_classes(
    selections: Mapping[str, Selection], means: Mapping[Site, Float[Tensor, "_ _"]]
) -> int:
    """Return the number of classes of all selections, or raise ValueError."""
    if not selections or not all(selections.values()):
        raise ValueError("a selection needs at least one site, got none")
    numbers = set()
    for name, chosen in selections.items():
        for site, units in chosen.items():
            if site not in means:
                raise ValueError(f"selection {name!r} has units of {site.name}, which has no mean")
            if units.shape[1] != len(means[site]):
                raise ValueError(
                    f"selection {name!r} has {units.shape[1]} units of {site.name}, "
                    f"allowed is {len(means[site])}"
                )
            numbers.add(len(units))
    if len(numbers) != 1:
        raise ValueError(f"selections need one number of classes, got {sorted(numbers)}")
    return numbers.pop()
