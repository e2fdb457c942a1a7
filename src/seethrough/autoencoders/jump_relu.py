"""JumpReLU: every unit has a threshold of its own and learns it.

    z = r if r > theta else 0,        L0 = number of entries above their thresholds, per input

Both jump at theta, so their gradient with respect to it is estimated within a window of width eps
(straight-through, {cite:t}`rajamanoharan2024jumprelu`):

    dz / dtheta = -theta / eps  and  dL0 / dtheta = -1 / eps  where |r - theta| < eps / 2, else 0.

The penalty is (L0 / target - 1)^2 with the batch mean of L0, as in public trainers of such layers;
the target follows the schedule of Top-k, and nothing is asked while the ReLU alone leaves fewer
units active than the target. The count is asked for, not enforced: report what was reached.

Our choice: thresholds begin low, at a tenth of the mean positive code of the untrained layer; eps
is that mean, because a narrower window holds no code at all where inputs share a large mean; log
thresholds learn 10 times as fast as weights. Of a dozen settings tried on one seed these came
within a tenth of the target (53 units for 50); dead units were no criterion.

Symbols: B inputs, M units, r ReLU code, z sparse code.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.autoencoders.top_k import check_ends, k_at


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpReLU:
    """The sparsifier of {cite:t}`rajamanoharan2024jumprelu` with a target for its count."""

    start: int = 500
    """Target of the mean active count in the first epoch, at least `end`."""
    end: int = 50
    """Target of the mean active count in the last epoch, at least 1."""
    schedule: str = "linear"
    """Shape of the fall: linear, cosine or constant (`end` throughout)."""
    first_threshold: float = 0.1
    """Every threshold at the start, as a share of the mean positive code; above 0."""
    bandwidth: float = 1.0
    """Width of the window, eps, as a share of the mean positive code; above 0."""
    weight: float = 1.0
    """Weight of the penalty, at least 0."""
    threshold_speed: float = 10.0
    """Step size of log thresholds as a multiple of the weights', above 0."""

    def __post_init__(self) -> None:
        check_ends(self.start, self.end, self.schedule)
        for name in ("first_threshold", "bandwidth", "threshold_speed"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a number above 0")
        if not 0 <= self.weight < math.inf:
            raise ValueError(f"weight is {self.weight}, allowed is a number from 0")

    def level(self, epoch: int, epochs: int) -> float:
        """Return the target of one epoch."""
        return k_at(self.start, self.end, self.schedule, epoch, epochs)

    def least_width(self) -> int:
        """Return the smallest dictionary that can reach the squeeze's end: `end` units."""
        return self.end

    def module(self, width: int) -> "JumpReLUModule":
        """Return the sparsifier for a dictionary of `width` units; `begin` gives it its scale."""
        return JumpReLUModule(width, self)


class JumpReLUModule(nn.Module):
    """Passes what exceeds its unit's threshold."""

    window: Tensor

    def __init__(self, width: int, config: JumpReLU) -> None:
        """Make thresholds of 1 and a window of 1."""
        super().__init__()
        self.config = config
        self.log_threshold = nn.Parameter(torch.zeros(width))
        self.register_buffer("window", torch.ones(()))

    def forward(self, relu_code: Float[Tensor, "B M"], level: float) -> Float[Tensor, "B M"]:
        """Return the sparse code; `level` concerns the penalty alone."""
        code: Tensor = _Jump.apply(relu_code, self.log_threshold.exp(), self.window)  # type: ignore[no-untyped-call]
        return code

    @torch.no_grad()
    def begin(self, relu_code: Float[Tensor, "N M"]) -> None:
        """Set thresholds and window from the codes of the untrained layer."""
        positive = relu_code > 0
        scale = float(relu_code.double().sum() / positive.sum().clamp_min(1)) or 1.0
        self.log_threshold.fill_(math.log(self.config.first_threshold * scale))
        self.window.fill_(self.config.bandwidth * scale)

    def penalty(self, relu_code: Float[Tensor, "B M"], level: float) -> Float[Tensor, ""]:
        """Return the cost of a mean active count other than the target, `level`."""
        asked = (relu_code > 0).sum(1, dtype=relu_code.dtype).mean() > level
        miss: Tensor = self.count(relu_code) / level - 1
        return self.config.weight * asked * miss.square()

    def count(self, relu_code: Float[Tensor, "B M"]) -> Float[Tensor, ""]:
        """Return the mean number of entries above their thresholds per input."""
        # the count moves thresholds alone: codes get no gradient from it
        threshold = self.log_threshold.exp()
        passed: Tensor = _Step.apply(relu_code.detach(), threshold, self.window)  # type: ignore[no-untyped-call]
        return passed.sum(1).mean()


class _Jump(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, relu_code: Tensor, threshold: Tensor, window: Tensor) -> Tensor:
        ctx.save_for_backward(relu_code, threshold, window)
        return torch.where(relu_code > threshold, relu_code, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        (gradient,) = gradients
        relu_code, threshold, window = ctx.saved_tensors
        inside = (relu_code - threshold).abs() < window / 2
        by_threshold = -(threshold / window) * (inside * gradient).sum(0)
        return (relu_code > threshold) * gradient, by_threshold, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, relu_code: Tensor, threshold: Tensor, window: Tensor) -> Tensor:
        ctx.save_for_backward(relu_code, threshold, window)
        return (relu_code > threshold).to(relu_code.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        (gradient,) = gradients
        relu_code, threshold, window = ctx.saved_tensors
        inside = (relu_code - threshold).abs() < window / 2
        return None, -(inside * gradient).sum(0) / window, None
