"""TopK: every input keeps its k largest activations, in training and at inference alike.

Source: {cite:t}`gao2024scaling`. Training uses the sparse kernels. Symbols: B inputs, D features,
M latents.
"""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.row_topk import row_topk
from seethrough.kernels.sparse_encode_decode import sparse_encode_decode
from seethrough.sae.dictionary import Dictionary
from seethrough.sae.sparsity_checks import PRECISIONS, check_count, check_precision
from seethrough.sae.training_pass import TrainingPass, pass_of_ragged


@dataclass(frozen=True, slots=True, kw_only=True)
class TopK:
    """The count enforced for every input."""

    k: int = 32
    """Latents active per input at most, 1 to the dictionary's width."""
    encoder_precision: str = "float32"
    """float32, or bfloat16 for the encoder's product in training; all else is float32."""

    def __post_init__(self) -> None:
        check_count(self.k)
        check_precision(self.encoder_precision)

    def rule(self, width: int) -> "TopKRule":
        """Return the rule for a dictionary of `width` latents."""
        check_count(self.k, width)
        return TopKRule(self)


class TopKRule(nn.Module):
    """Keeps the k largest activations of each input; it has no state."""

    def __init__(self, config: TopK) -> None:
        """Keep the configuration."""
        super().__init__()
        self.config = config

    def begin(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> None:
        """Do nothing: there is nothing to measure."""

    def training_pass(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> TrainingPass:
        """Return the pass of a batch of standardised inputs."""
        reconstruction, code = sparse_encode_decode(
            inputs,
            dictionary.W_enc,
            dictionary.b_enc,
            dictionary.W_dec,
            dictionary.b_dec,
            self.config.k,
            "row",
            PRECISIONS[self.config.encoder_precision],
            centre=dictionary.b_dec,
        )
        return pass_of_ragged(reconstruction, code)

    def encode(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> RaggedCode:
        """Return the code at inference."""
        return row_topk(dictionary.pre_activations(inputs).detach(), self.config.k)
