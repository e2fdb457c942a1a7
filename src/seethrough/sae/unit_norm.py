"""Decoder rows of norm 1, kept so while training.

Without it an optimiser lowers a price on activity by small codes and large rows, and the norm would
say nothing of a latent's use. Before each step the gradient loses its part along each row, which
the renormalisation would undo anyway but which Adam's moments would remember; after the step rows
are divided by their norms, as in the code of {cite:t}`bussmann2024batchtopk`. Symbols: M latents,
D features.
"""

import torch
from torch import Tensor


@torch.no_grad()
def project_gradient(W_dec: Tensor) -> None:
    """Take out of the gradient of `W_dec` (M D), in place, its part along each row of norm 1.

    >>> import torch
    >>> W_dec = torch.tensor([[1.0, 0.0]], requires_grad=True)
    >>> W_dec.grad = torch.tensor([[3.0, 2.0]])
    >>> project_gradient(W_dec)
    >>> W_dec.grad.tolist()
    [[0.0, 2.0]]
    """
    gradient = W_dec.grad
    assert gradient is not None
    along = (gradient * W_dec).sum(1, keepdim=True)  # (M, 1)
    gradient.addcmul_(along, W_dec, value=-1)


@torch.no_grad()
def renormalise(W_dec: Tensor) -> None:
    """Divide every row of `W_dec` (M D) by its norm, in place; a row of zeros stays.

    >>> import torch
    >>> W_dec = torch.tensor([[3.0, 4.0]])
    >>> renormalise(W_dec)
    >>> [round(x, 4) for x in W_dec[0].tolist()]
    [0.6, 0.8]
    """
    W_dec.div_(W_dec.norm(dim=1, keepdim=True).clamp_min(torch.finfo(W_dec.dtype).tiny))
