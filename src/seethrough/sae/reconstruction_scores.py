"""How well, and with how many latents, an autoencoder reconstructs an evaluation set.

    FVE = 1 - sum |x - x_hat|^2 / sum |x - mean x|^2,      NMSE = 1 - FVE

The mean is that of the evaluation set. Sums are in float64. Symbols: N inputs, D features,
M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.sae.latent_codes import BATCH
from seethrough.sae.sparse_autoencoder import SparseAutoencoder


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconstructionScores:
    """Scores of codes at inference on one evaluation set."""

    n_inputs: int
    """N, at least 1."""
    width: int
    """M."""
    fve: float
    """Fraction of variance explained, 1 at best, below 0 if the mean does better; NaN if the inputs
    are all alike."""
    l0: float
    """Latents above 0 per input, mean."""
    n_active: int
    """Latents above 0 on at least one input."""

    @property
    def nmse(self) -> float:
        """Return the squared error as a share of the variance, 1 - FVE."""
        return 1 - self.fve

    @property
    def n_dead(self) -> int:
        """Return the number of latents that are 0 on every input."""
        return self.width - self.n_active


@torch.no_grad()
def reconstruction_scores(
    sae: SparseAutoencoder, inputs: Float[Tensor, "N D"]
) -> ReconstructionScores:
    """Return the scores over all inputs, on the autoencoder's device.

    Raises:
        ValueError: no inputs, or inputs that are NaN.
    """
    if len(inputs) == 0:
        raise ValueError("reconstruction scores need at least one input, got none")
    first = inputs[0].double()
    mean = first + (inputs - inputs[0]).mean(0, dtype=torch.float64)
    error, variance = first.new_zeros(()), first.new_zeros(())
    fired = torch.zeros(sae.width, dtype=torch.bool, device=inputs.device)
    n_entries = 0
    for batch in inputs.split(BATCH):  # type: ignore[no-untyped-call]
        code = sae.encode(batch)
        error += (sae.decode(code).double() - batch).square().sum()
        variance += (batch.double() - mean).square().sum()
        fired.index_fill_(0, code.latents, True)
        n_entries += len(code.latents)
    return ReconstructionScores(
        n_inputs=len(inputs),
        width=sae.width,
        fve=float(torch.where(variance > 0, 1 - error / variance, torch.nan)),
        l0=n_entries / len(inputs),
        n_active=int(fired.sum()),
    )
