"""Which latents a class needs, to first order: attribution patching of latents.

    s_cu = mean over images x of class c of sum_t z_ut(x) df_c(x) / dz_ut
         = mean over images x of class c of sum_t z_ut(x) scale <d_u, df_c(x) / dx_t>

z_ut is latent u's activation on token t of the site, d_u its decoder row, f_c the logit of class c.
The gradient is taken at the activations themselves, x = x_hat + error, so the error term is kept.
Setting the latent to 0 changes f_c by about -s_cu: positive means that the class needs the latent.
One forward pass and one backward pass through the blocks after the site give all latents. Symbols:
B images of a batch, t tokens of the site, D model width, C classes, M latents.
"""

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from seethrough.kernels.latent_gradients import sampled_products
from seethrough.neurons.forward_from_block import forward_from_block
from seethrough.neurons.sites import Batches, frozen
from seethrough.sae.residual_site import ResidualSite, stream_after_block
from seethrough.sae.sparse_autoencoder import SparseAutoencoder


def latent_importance(
    model: nn.Module,
    sae: SparseAutoencoder,
    site: ResidualSite,
    batches: Batches,
    n_classes: int,
) -> Float64[Tensor, "C M"]:
    """Return the importance of each latent for each class, 0 for a latent that never fires on it.

    An image counts for the class of its label only. A class without images has NaN. The model runs
    in evaluation mode and is left as it was.

    Raises:
        ValueError: a site that the model lacks, or activations that are NaN.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    device = sae.dictionary.W_dec.device
    counts = torch.zeros(n_classes, dtype=torch.int64, device=device)
    totals = torch.zeros(n_classes * sae.width, dtype=torch.float64, device=device)
    for images, labels in batches:
        counts.index_add_(0, labels, torch.ones_like(labels))
        vectors, gradients = _vectors_and_gradients(model, images, labels, site)
        code = sae.encode(vectors)
        W_dec = sae.dictionary.W_dec
        slopes = sampled_products(code, gradients.to(W_dec.dtype), W_dec)
        effects = code.values * sae.standardisation.scale * slopes
        classes = labels.repeat_interleave(len(vectors) // len(labels))  # (B t)
        totals.index_add_(0, classes[code.rows()] * sae.width + code.latents, effects.double())
    return totals.view(n_classes, sae.width) / counts[:, None]


def top_latents(importance: Float[Tensor, "C M"], count: int) -> Bool[Tensor, "C M"]:
    """Return, for each class, the `count` latents of highest importance, all above 0.

    A class that needs fewer latents gets fewer, one whose importance is NaN gets none. Ties go to
    the lower latent.

    >>> import torch
    >>> top_latents(torch.tensor([[0.5, 2.0, 0.5], [0.0, -1.0, 1.0]]), 2).tolist()
    [[True, True, False], [False, False, True]]

    Raises ValueError for a count below 1 or above the number of latents.
    """
    if not 1 <= count <= importance.shape[1]:
        raise ValueError(f"count is {count}, allowed is 1 to {importance.shape[1]}")
    best = importance.argsort(dim=1, descending=True, stable=True)
    # NaN comes first in this order, but is not above 0.
    chosen = torch.zeros_like(importance, dtype=torch.bool).scatter_(1, best[:, :count], True)
    return chosen & (importance > 0)


def _vectors_and_gradients(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, " B"],
    site: ResidualSite,
) -> tuple[Float[Tensor, "n D"], Float[Tensor, "n D"]]:
    """Return the site's vectors and the gradients of each image's own class logit."""
    with frozen(model):
        with torch.no_grad():
            stream = stream_after_block(model, images, site.block)
        with torch.enable_grad():
            tokens = site.read(stream).clone().requires_grad_()
            logits = forward_from_block(model, site.write(stream, tokens), site.block + 1)
            # Images do not see each other, so the gradient of the sum holds each image's own.
            own_class = logits.gather(1, labels[:, None]).sum()
            (gradients,) = torch.autograd.grad(own_class, tokens)
    return tokens.detach().flatten(0, 1), gradients.flatten(0, 1)
