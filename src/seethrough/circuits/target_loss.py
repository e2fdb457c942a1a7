"""The smallest circuit that meets a target loss, by bisection of the order of tau.

After training, nodes are ranked by tau and the number of nodes kept is bisected
{cite:p}`gao2025weightsparse`, so that circuits of different models are compared at one loss.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.circuits.node_mask import active_nodes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetCircuit:
    """A circuit cut to a target loss."""

    active: Bool[Tensor, " nodes"]
    """True for the nodes kept."""
    loss: float
    """The loss with these nodes."""
    reached: bool
    """Whether the loss is at most the target."""

    @property
    def n_active(self) -> int:
        """Return the number of nodes kept."""
        return int(self.active.sum())


def circuit_at_loss(
    tau: Float[Tensor, " nodes"],
    loss_of: Callable[[Bool[Tensor, " nodes"]], float],
    target: float,
) -> TargetCircuit:
    """Return the nodes of highest tau, as few as meet the target loss.

    Of equal tau the node that stands first goes first. Bisection starts from the learned circuit
    (tau above 0), cuts it if it meets the target and extends it towards all nodes if not; it needs
    about log2(nodes) calls of `loss_of`. Where the loss does not fall steadily with the number of
    nodes, the result meets the target and one node fewer does not; fewer still may. A target that
    neither the learned circuit nor all nodes meet is not reached: the better of the two is then
    returned, the smaller one if equal.

    Raises:
        ValueError: a target, tau or loss that is NaN.
    """
    if math.isnan(target) or bool(tau.isnan().any()):
        raise ValueError(f"target is {target} with {int(tau.isnan().sum())} NaN among tau")
    order = tau.sort(descending=True, stable=True).indices
    measured: dict[int, TargetCircuit] = {}

    def cut(n_active: int) -> TargetCircuit:
        """Return the circuit of the first nodes in order, measured once."""
        if n_active not in measured:
            active = torch.zeros_like(tau, dtype=torch.bool)
            active[order[:n_active]] = True
            loss = loss_of(active)
            if math.isnan(loss):
                raise ValueError(f"the loss of {n_active} nodes is NaN")
            measured[n_active] = TargetCircuit(active=active, loss=loss, reached=loss <= target)
        return measured[n_active]

    learned, everything = int(active_nodes(tau).sum()), len(tau)
    if cut(learned).reached:
        low, high = 0, learned
    elif cut(everything).reached:
        low, high = learned + 1, everything
    else:
        return min(cut(learned), cut(everything), key=lambda circuit: circuit.loss)
    # The circuit of `high` nodes meets the target throughout.
    while low < high:
        middle = (low + high) // 2
        if cut(middle).reached:
            high = middle
        else:
            low = middle + 1
    return cut(high)
