"""True patching: what replacing a unit by its mean does to a class logit, measured unit by unit.

One pass through the rest of the network per unit and batch: exact, slow, and so for a sample of
units, to check
`attribution_patching` by `rank_correlation`.

Symbols: B images of a batch, U units, V numbers per unit, C classes.
"""

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.attribution_patching import require_means
from seethrough.neurons.forward_from_block import block_inputs, forward_from_block
from seethrough.neurons.sites import Ablation, Batches, Site, ablated, frozen


@torch.no_grad()
def true_patching(
    model: nn.Module,
    batches: Batches,
    site: Site,
    mean: Float[Tensor, "U V"],
    units: Int64[Tensor, " sample"],
    n_classes: int,
) -> Float64[Tensor, "C sample"]:
    """Return the measured change of each class's logit when one unit alone is mean-ablated.

    The mean over images of the class; columns in the order of `units`, repeated ones repeated.
    Negative means that the class needs the unit. A class without images has NaN. The model runs in
    evaluation mode and is left as it was.

    Raises:
        ValueError: a unit outside the site, a mean of another shape, a site that the model lacks.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    require_means(model, {site: mean})
    if len(units) and not 0 <= int(units.min()) <= int(units.max()) < len(mean):
        raise ValueError(f"units are 0 to {len(mean) - 1}, got {units.tolist()}")
    device = next(model.parameters()).device
    counts = torch.zeros(n_classes, dtype=torch.int64, device=device)
    totals = torch.zeros(n_classes, len(units), dtype=torch.float64, device=device)
    alone = nn.functional.one_hot(units.to(device), len(mean)).bool()  # (sample, U)
    for images, labels in batches:
        counts.index_add_(0, labels, torch.ones_like(labels))
        totals.index_add_(0, labels, _effects(model, images, labels, site, mean, alone))
    return totals / counts[:, None]


def _effects(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, " B"],
    site: Site,
    mean: Float[Tensor, "U V"],
    alone: Bool[Tensor, "sample U"],
) -> Float64[Tensor, "B sample"]:
    """Return the change of each image's own class logit, one unit replaced at a time."""
    with frozen(model):
        with block_inputs(model, [site.block]) as inputs:
            clean = model(images).gather(1, labels[:, None])
        changed = []
        # A loop over units: each needs its own pass through the rest of the network.
        for unit in alone:
            with ablated(model, {site: Ablation(units=unit[None], mean=mean)}):
                logits = forward_from_block(model, inputs[site.block], site.block)
            changed.append(logits.gather(1, labels[:, None]))
    effects = torch.cat(changed, dim=1) if changed else clean[:, :0]
    difference: Tensor = effects.double() - clean.double()
    return difference
