"""JumpReLU: every latent has a threshold of its own and learns it.

The activation, its gradient by a straight-through window, and the penalty (L0 / k - 1)^2 that asks
for a mean count of k are those of `seethrough.autoencoders.jump_relu`, after
{cite:t}`rajamanoharan2024jumprelu`; here k does not change while training. The count is asked for,
not enforced. The code is dense while training. Symbols: B inputs, D features, M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders import jump_relu
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.sae.dictionary import Dictionary, code_above
from seethrough.sae.sparsity_checks import check_above_zero, check_count
from seethrough.sae.training_pass import TrainingPass, pass_of_dense
from seethrough.training.checks import at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpReLU:
    """Learned thresholds with a target for the count."""

    k: int = 32
    """Target of the mean number of active latents per input, 1 to the dictionary's width."""
    first_threshold: float = 1.0
    """Every threshold at the start, as a share of the mean positive activation; above 0."""
    bandwidth: float = 1.0
    """Width of the window, as a share of the mean positive activation; above 0."""
    weight: float = 1.0
    """Weight of the penalty, at least 0."""
    threshold_speed: float = 10.0
    """Step size of log thresholds as a multiple of the weights', above 0."""

    def __post_init__(self) -> None:
        check_count(self.k)
        for name in ("first_threshold", "bandwidth", "threshold_speed"):
            check_above_zero(name, getattr(self, name))
        at_least("weight", self.weight, 0)

    def rule(self, width: int) -> "JumpReLURule":
        """Return the rule for a dictionary of `width` latents; `begin` gives it its scale."""
        check_count(self.k, width)
        return JumpReLURule(self, width)


class JumpReLURule(nn.Module):
    """Passes what exceeds its latent's threshold."""

    def __init__(self, config: JumpReLU, width: int) -> None:
        """Make thresholds of 1 and a window of 1."""
        super().__init__()
        self.config = config
        self.jump = jump_relu.JumpReLUModule(
            width,
            jump_relu.JumpReLU(
                start=config.k,
                end=config.k,
                schedule="constant",
                first_threshold=config.first_threshold,
                bandwidth=config.bandwidth,
                weight=config.weight,
                threshold_speed=config.threshold_speed,
            ),
        )

    @property
    def threshold(self) -> Float[Tensor, " M"]:
        """Return what an activation must exceed."""
        return self.jump.log_threshold.exp()

    @torch.no_grad()
    def begin(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> None:
        """Take thresholds and window from the activations of the untrained dictionary."""
        self.jump.begin(dictionary.pre_activations(inputs).relu())

    def training_pass(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> TrainingPass:
        """Return the pass of a batch of standardised inputs."""
        activations = dictionary.pre_activations(inputs).relu()
        code = self.jump(activations, float(self.config.k))
        penalty = self.jump.penalty(activations, float(self.config.k))
        return pass_of_dense(dictionary.decode(code), code, penalty)

    def encode(self, dictionary: Dictionary, inputs: Float[Tensor, "B D"]) -> RaggedCode:
        """Return the code at inference."""
        return code_above(dictionary.pre_activations(inputs), self.threshold)
