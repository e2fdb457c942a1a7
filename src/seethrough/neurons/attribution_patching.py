"""Attribution patching: to first order, what replacing a unit by its mean does to a class logit.

    s_cu = mean over images x of class c of sum_t <mu_u - a_ut(x), df_c(x) / da_ut>

a_ut is unit u's activation on token t, mu_u its mean over a data set, f_c the logit of class c. For
a head a and mu are vectors, <,> their inner product. One forward and one backward pass give all
units of all sites. The estimate is exact where f_c is linear in the unit; saturated attention and
effects that cancel make it unreliable, hence the check against `true_patching`.

Symbols: B images of a batch, T tokens, U units of a site, V numbers per unit, C classes.
"""

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.sites import Batches, Site, frozen, recorded


def attribution_patching(
    model: nn.Module, batches: Batches, means: Mapping[Site, Float[Tensor, "_ _"]], n_classes: int
) -> dict[Site, Float64[Tensor, "C _"]]:
    """Return the predicted change of each class's logit per unit, (C, U) for each site of `means`.

    Negative means that the class needs the unit. An image counts for the class of its label only;
    batches may mix classes. A class without images has NaN. `means` is `SiteStatistics.mean`.
    The model runs in evaluation mode and is left as it was.

    Raises:
        ValueError: a mean whose shape is not that of its site, or a site that the model lacks.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    require_means(model, means)
    device = next(model.parameters()).device
    counts = torch.zeros(n_classes, dtype=torch.int64, device=device)
    totals = {
        site: torch.zeros(n_classes, len(mean), dtype=torch.float64, device=device)
        for site, mean in means.items()
    }
    for images, labels in batches:
        counts.index_add_(0, labels, torch.ones_like(labels))
        for site, effects in predicted_effects(model, images, labels, means).items():
            totals[site].index_add_(0, labels, effects.double())
    return {site: total / counts[:, None] for site, total in totals.items()}


def predicted_effects(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, " B"],
    means: Mapping[Site, Float[Tensor, "_ _"]],
) -> dict[Site, Float[Tensor, "B _"]]:
    """Return the predicted change of each image's own class logit, (B, U) for each site."""
    with torch.enable_grad(), frozen(model), recorded(model, means, with_gradients=True) as at:
        logits = model(images)
        # Images do not see each other, so the gradient of the sum holds each image's own.
        own_class = logits.gather(1, labels[:, None]).sum()
        gradients = torch.autograd.grad(own_class, [at[site] for site in means])
    return {
        site: (mean.to(at[site].dtype) - at[site].detach()).mul_(gradient).sum(dim=(1, 3))
        for (site, mean), gradient in zip(means.items(), gradients, strict=True)
    }


def top_units(
    scores: Mapping[Site, Float[Tensor, "C _"]], count: int
) -> dict[Site, Bool[Tensor, "C _"]]:
    """Return, for each class, the `count` units of most negative score among all sites given.

    Give the sites of one block to rank its MLP units and heads together, one site to rank it alone.
    Ties go to the earlier site, then to the lower unit. A class whose scores are NaN gets no unit.

    >>> from seethrough.neurons.sites import MlpUnits
    >>> scores = {MlpUnits(block=0): torch.tensor([[0.5, -1.0, -2.0], [-1.0, -1.0, -1.0]])}
    >>> top_units(scores, 2)[MlpUnits(block=0)]
    tensor([[False,  True,  True],
            [ True,  True, False]])

    Raises:
        ValueError: `count` below 1 or above the number of units.
    """
    joined = torch.cat(list(scores.values()), dim=1)
    if not 1 <= count <= joined.shape[1]:
        raise ValueError(f"count is {count}, allowed is 1 to {joined.shape[1]}")
    best = joined.argsort(dim=1, stable=True)[:, :count]  # NaN last
    chosen = torch.zeros_like(joined, dtype=torch.bool).scatter_(1, best, True)
    chosen &= ~joined.isnan()
    parts = torch.split(chosen, [part.shape[1] for part in scores.values()], dim=1)
    return dict(zip(scores, parts, strict=True))


def require_means(model: nn.Module, means: Mapping[Site, Float[Tensor, "_ _"]]) -> None:
    """Raise ValueError unless there is a site and every mean has its site's shape (U, V)."""
    if not means:
        raise ValueError("means need at least one site, got none")
    for site, mean in means.items():
        if tuple(mean.shape) != site.shape(model):
            raise ValueError(
                f"the mean of {site.name} has shape {tuple(mean.shape)}, "
                f"allowed is {site.shape(model)}"
            )
