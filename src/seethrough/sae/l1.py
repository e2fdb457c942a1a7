"""L1: every latent may be active, but activity costs.

    penalty = coefficient x mean over inputs of sum_m z_m,      z = ReLU(a)

Decoder rows have norm 1, so that small codes with large rows are no way out
{cite:p}`bricken2023monosemanticity`. The squared error it stands beside is the mean over features
of standardised inputs; a trainer that sums over features needs a coefficient D times as large. The
code is dense while training: B M numbers and their gradients. Symbols: B inputs, D features,
M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.sae.dictionary import Dictionary, code_above
from seethrough.sae.training_pass import TrainingPass, pass_of_dense
from seethrough.training.checks import at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class L1:
    """The count asked for by the price of activity."""

    coefficient: float
    """Price of one unit of activity, at least 0; found by search where a count is wanted."""

    def __post_init__(self) -> None:
        at_least("coefficient", self.coefficient, 0)

    def rule(self, width: int) -> "L1Rule":
        """Return the rule for a dictionary of `width` latents."""
        return L1Rule(self)


class L1Rule(nn.Module):
    """Leaves what the ReLU gives; it has no state."""

    def __init__(self, config: L1) -> None:
        """Keep the configuration."""
        super().__init__()
        self.config = config

    def begin(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> None:
        """Do nothing: there is nothing to measure."""

    def training_pass(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> TrainingPass:
        """Return the pass of a batch of standardised inputs."""
        code = dictionary.pre_activations(inputs).relu()
        penalty = self.config.coefficient * code.sum(1).mean()
        return pass_of_dense(dictionary.decode(code), code, penalty)

    def encode(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> RaggedCode:
        """Return the code at inference."""
        return code_above(dictionary.pre_activations(inputs), torch.zeros_like(dictionary.b_enc))
