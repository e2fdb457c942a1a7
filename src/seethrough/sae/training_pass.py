"""What a method computes from one training batch, for the loss and for the books."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingPass:
    """Reconstruction of a batch with gradients, and which latents took part."""

    reconstruction: Float[Tensor, "B D"]
    """Of the standardised inputs."""
    penalty: Float[Tensor, ""]
    """What the method adds to the squared error; 0 where the count is enforced."""
    fired: Bool[Tensor, " M"]
    """Latents above 0 on at least one input."""
    n_active: Int64[Tensor, ""]
    """Entries above 0 in the whole batch."""


def pass_of_ragged(reconstruction: Float[Tensor, "B D"], code: RaggedCode) -> TrainingPass:
    """Return the pass of a method that enforces its count, so that no penalty is due."""
    fired = torch.zeros(code.width, dtype=torch.bool, device=code.latents.device)
    return TrainingPass(
        reconstruction=reconstruction,
        penalty=reconstruction.new_zeros(()),
        fired=fired.index_fill_(0, code.latents, True),
        n_active=code.row_starts[-1],
    )


def pass_of_dense(
    reconstruction: Float[Tensor, "B D"], code: Float[Tensor, "B M"], penalty: Float[Tensor, ""]
) -> TrainingPass:
    """Return the pass of a method that asks for its count by a penalty."""
    active = code.detach() > 0
    return TrainingPass(
        reconstruction=reconstruction,
        penalty=penalty,
        fired=active.any(0),
        n_active=active.sum(),
    )
