"""BatchTopK: a batch keeps its k B largest activations, however they fall on its inputs.

An input that needs more latents may have them. A single input has no batch, so at inference an
activation stays if it exceeds one global threshold {cite:p}`bussmann2024batchtopk`:

    z = a 1[a > theta],      theta = running mean over training batches of the smallest kept value

The mean is the plain one over the first batches, then an exponential one, because early batches
tell little of the trained encoder: with w the decay, batch t counts by max(1 / t, 1 - w). A batch
in which nothing is active leaves theta as it is. Training uses the sparse kernels: no gradient of
the size B M exists. Symbols: B inputs, D features, M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_encode_decode import sparse_encode_decode
from seethrough.sae.dictionary import Dictionary, code_above
from seethrough.sae.sparsity_checks import PRECISIONS, check_count, check_precision
from seethrough.sae.training_pass import TrainingPass, pass_of_ragged


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchTopK:
    """The count enforced over a batch."""

    k: int = 32
    """Latents active per input, mean over a batch; 1 to the dictionary's width. From the source."""
    threshold_decay: float = 0.99
    """Weight of the past in the mean of thresholds, 0 to below 1. Our choice: 100 batches."""
    encoder_precision: str = "float32"
    """float32, or bfloat16 for the encoder's product in training; all else is float32."""

    def __post_init__(self) -> None:
        check_count(self.k)
        check_precision(self.encoder_precision)
        if not 0 <= self.threshold_decay < 1:
            raise ValueError(f"threshold_decay is {self.threshold_decay}, allowed is 0 to below 1")

    def rule(self, width: int) -> "BatchTopKRule":
        """Return the rule for a dictionary of `width` latents."""
        check_count(self.k, width)
        return BatchTopKRule(self)


class BatchTopKRule(nn.Module):
    """Keeps the k B largest activations of a batch (training) or those above a threshold."""

    threshold: Tensor
    n_batches: Tensor

    def __init__(self, config: BatchTopK) -> None:
        """Start with no batch seen; the threshold is then 0, and the ReLU decides alone."""
        super().__init__()
        self.config = config
        self.register_buffer("threshold", torch.zeros(()))
        self.register_buffer("n_batches", torch.zeros((), dtype=torch.int64))

    def begin(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> None:
        """Do nothing: the threshold comes from training batches."""

    def training_pass(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> TrainingPass:
        """Return the pass of a batch of standardised inputs; counts it for the threshold."""
        reconstruction, code = sparse_encode_decode(
            inputs,
            dictionary.W_enc,
            dictionary.b_enc,
            dictionary.W_dec,
            dictionary.b_dec,
            self.config.k,
            "batch",
            PRECISIONS[self.config.encoder_precision],
            centre=dictionary.b_dec,
        )
        self._observe(code)
        return pass_of_ragged(reconstruction, code)

    def encode(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> RaggedCode:
        """Return the code at inference."""
        return code_above(dictionary.pre_activations(inputs), self.threshold)

    @torch.no_grad()
    def _observe(self, code: RaggedCode) -> None:
        if len(code.values) == 0:
            return
        self.n_batches += 1
        weight = (1 / self.n_batches).clamp_min(1 - self.config.threshold_decay)
        self.threshold += weight * (code.values.detach().amin() - self.threshold)
