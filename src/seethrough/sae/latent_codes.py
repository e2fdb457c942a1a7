"""Codes of a whole evaluation set: ragged for all latents, dense for some.

Symbols: N inputs, D features, M latents, U some of the latents.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.sae.sparse_autoencoder import SparseAutoencoder

BATCH = 4096
"""Inputs whose dense pre-activations are held at once."""


def latent_codes(sae: SparseAutoencoder, inputs: Float[Tensor, "N D"]) -> RaggedCode:
    """Return the active latents of every input at inference; N >= 1."""
    parts = [sae.encode(batch) for batch in inputs.split(BATCH)]  # type: ignore[no-untyped-call]
    counts = torch.cat([part.row_counts() for part in parts])
    return RaggedCode(
        row_starts=torch.cat([counts.new_zeros(1), counts.cumsum(0)]),
        latents=torch.cat([part.latents for part in parts]),
        values=torch.cat([part.values for part in parts]),
        width=sae.width,
    )


def latent_columns(code: RaggedCode, latents: Int64[Tensor, " U"]) -> Float[Tensor, "N U"]:
    """Return the activations of some latents, each named once, on every input, zeros written out.

    >>> import torch
    >>> code = RaggedCode(torch.tensor([0, 2, 3]), torch.tensor([0, 4, 4]), torch.ones(3), 5)
    >>> latent_columns(code, torch.tensor([4, 1])).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    column = torch.full((code.width,), -1, device=latents.device)
    column[latents] = torch.arange(len(latents), device=latents.device)
    columns = column[code.latents]
    wanted = columns >= 0
    dense = code.values.new_zeros(code.n_rows, len(latents))
    dense[code.rows()[wanted], columns[wanted]] = code.values[wanted]
    return dense
