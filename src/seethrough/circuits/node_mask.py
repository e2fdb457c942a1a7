"""Learnable node masks: a step forward, the slope of a sigmoid backward.

    m = 1 if tau > 0 else 0,    dm / dtau := sigmoid'(tau / T) / T

One parameter tau per node, kept within -1 and 1 {cite:p}`gao2025weightsparse`. A node at exactly 0
is off, and so is one whose tau is NaN; `train_masks` refuses NaN.
"""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

BIAS, NOISE = 0.1, 0.01
"""Mean and standard deviation of tau at the start; the published search's centres."""
LIMIT = 1.0
"""Largest |tau|."""


def node_gates(
    tau: Float[Tensor, "*any nodes"], temperature: float = 1.0
) -> Float[Tensor, "*any nodes"]:
    """Return 1 for nodes whose tau is above 0, else 0; gradients are those of the sigmoid.

    >>> tau = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
    >>> node_gates(tau).sum().backward()
    >>> node_gates(tau).tolist(), tau.grad
    ([0.0, 0.0, 1.0], tensor([0.2350, 0.2500, 0.2350]))

    Raises:
        ValueError: a temperature that is not finite and above 0.
    """
    check_temperature(temperature)
    gates: Tensor = _Step.apply(tau, temperature)  # type: ignore[no-untyped-call]
    return gates


def active_nodes(tau: Float[Tensor, "*any nodes"]) -> Bool[Tensor, "*any nodes"]:
    """Return True for nodes that are on: tau above 0."""
    return tau > 0


def initial_tau(n_nodes: int, generator: torch.Generator) -> Float[Tensor, " nodes"]:
    """Return 0.1 + 0.01 N(0, 1) for each node, within -1 and 1, on the generator's device."""
    noise = torch.randn(n_nodes, generator=generator, device=generator.device)
    return (BIAS + NOISE * noise).clamp_(-LIMIT, LIMIT)


def check_temperature(temperature: float) -> None:
    """Raise ValueError unless the temperature is finite and above 0."""
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, allowed is a finite number above 0")


class _Step(torch.autograd.Function):
    """Heaviside's step with the slope of sigmoid(tau / T)."""

    @staticmethod
    def forward(ctx: Any, tau: Tensor, temperature: float) -> Tensor:
        ctx.save_for_backward(tau)
        ctx.temperature = temperature
        return (tau > 0).to(tau.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (tau,) = ctx.saved_tensors
        soft = torch.sigmoid(tau / ctx.temperature)
        return gradients[0] * soft * (1 - soft) / ctx.temperature, None
