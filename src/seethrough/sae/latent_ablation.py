"""Zero ablation of latents with the error term kept, and what it does to a class.

    x' = x - scale sum_{u selected} z_u d_u,
    impact_c = mean over images x of class c of (f_c(x) - f_c^abl(x)) / ||f(x)||_2

z_u is the latent's activation, d_u its decoder row. What the autoencoder does not explain, x -
x_hat, stays in x'. All selected latents are removed at once, on every token of the site; a latent
has a natural off state, 0. Images of different classes share a batch: each loses the latents of its
own class. Symbols: B images of a batch, t tokens of the site, D model width, C classes, M latents,
n vectors.
"""

from dataclasses import replace
from functools import partial

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.forward_from_block import forward_from_block
from seethrough.neurons.sites import Batches, frozen
from seethrough.sae.residual_site import ResidualSite, stream_after_block
from seethrough.sae.sparse_autoencoder import SparseAutoencoder
from seethrough.sae.splice import replaced_logits


def without_latents(
    sae: SparseAutoencoder,
    vectors: Float[Tensor, "n D"],
    removed: Bool[Tensor, "C M"],
    classes: Int64[Tensor, " n"],
) -> Float[Tensor, "n D"]:
    """Return activations without what the latents removed for each vector's class write."""
    code = sae.encode(vectors)
    gone = removed[classes[code.rows()], code.latents]
    code = replace(code, values=torch.where(gone, code.values, 0.0))
    return vectors - sae.contribution(code)


@torch.no_grad()
def latent_ablation_impact(
    model: nn.Module,
    sae: SparseAutoencoder,
    site: ResidualSite,
    batches: Batches,
    selected: Bool[Tensor, "C M"],
) -> Float64[Tensor, " C"]:
    """Return the ablation impact on each class of the latents selected for it.

    Positive: the class loses. 0 for a class of which no latent is selected or active, NaN for one
    without images; an image whose logits are all 0 makes its class NaN or infinite. The model runs
    in evaluation mode and is left as it was.

    Raises:
        ValueError: a site that the model lacks, or activations that are NaN.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    counts = torch.zeros(len(selected), dtype=torch.int64, device=selected.device)
    totals = torch.zeros(len(selected), dtype=torch.float64, device=selected.device)
    with frozen(model):
        for images, labels in batches:
            stream = stream_after_block(model, images, site.block)
            classes = labels.repeat_interleave(site.read(stream).shape[1])  # (B t)
            remove = partial(without_latents, sae, removed=selected, classes=classes)
            clean = forward_from_block(model, stream, site.block + 1).double()
            ablated = replaced_logits(model, stream, site, remove).double()
            lost = (clean - ablated).gather(1, labels[:, None])[:, 0]
            totals.index_add_(0, labels, lost / clean.norm(dim=1))
            counts.index_add_(0, labels, torch.ones_like(labels))
    return totals / counts
