"""AuxK: dead latents learn from what the others leave unexplained.

    loss += weight |e_hat - e|^2 / |e|^2,      e = y - y_hat without gradient

e_hat is the reconstruction of the residual e by the k_aux largest positive activations of the dead
latents of each input, without b_dec {cite:p}`gao2024scaling`. Sums run over the whole batch; where
there is no dead latent or no residual, the loss is 0. A latent that is negative on every input gets
no gradient: AuxK helps latents that lose the competition, not those that nothing switches on. Cost:
one dense product with the dead latents alone. Symbols: B inputs, D features, M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.kernels.sparse_encode_decode import sparse_encode_decode
from seethrough.sae.dictionary import Dictionary
from seethrough.sae.sparsity_checks import check_above_zero


@dataclass(frozen=True, slots=True, kw_only=True)
class AuxK:
    """The auxiliary loss for dead latents."""

    k_aux: int | None = None
    """Dead latents per input that may answer, at least 1; None is half of the features."""
    weight: float = 1 / 32
    """Weight of the loss, above 0. From the source."""

    def __post_init__(self) -> None:
        if self.k_aux is not None and self.k_aux < 1:
            raise ValueError(f"k_aux is {self.k_aux}, allowed is a count of at least 1, or None")
        check_above_zero("weight", self.weight)

    def loss(
        self,
        dictionary: Dictionary,
        inputs: Float[Tensor, "B D"],
        reconstruction: Float[Tensor, "B D"],
        dead: Bool[Tensor, " M"],
    ) -> Float[Tensor, ""]:
        """Return the weighted loss of a batch of standardised inputs; B >= 1."""
        latents = dead.nonzero()[:, 0]
        if len(latents) == 0:
            return inputs.new_zeros(())
        residual = (inputs - reconstruction).detach()
        answer, _ = sparse_encode_decode(
            inputs,
            dictionary.W_enc[latents],
            dictionary.b_enc[latents],
            dictionary.W_dec[latents],
            None,
            self.k_aux or max(1, inputs.shape[1] // 2),
            "row",
            centre=dictionary.b_dec,
        )
        energy = residual.square().sum()
        share = torch.where(energy > 0, self.weight / energy, 0.0)
        return share * (answer - residual).square().sum()
