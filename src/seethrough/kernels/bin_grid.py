"""What a kernel knows of equal-width bins; a caller hands them in, for the choice is its own."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64, Int32
from torch import Tensor

# A position estimated as scale x + offset errs by less than 1e-8 bins, so it decides the bin unless
# it is this close to an edge.
EDGE_TOLERANCE = 1e-6


@runtime_checkable
class BinGrid(Protocol):
    """Bins of L latents, each over its own range; `metrics.equal_width_bins.EqualWidthGrid`.

    A code on an edge belongs to the bin right of it, the largest code to the last bin.
    """

    @property
    def edges(self) -> Float64[Tensor, "L edges"]:
        """Edges of each latent's bins, n_bins + 1 of them; the first is its least code."""

    @property
    def scale(self) -> Float64[Tensor, "L 1"]:
        """Bins per unit of code; 0 for latents that are constant or narrow."""

    @property
    def offset(self) -> Float64[Tensor, "L 1"]:
        """Position of code 0, in bins."""

    @property
    def narrow(self) -> Bool[Tensor, " L"]:
        """Latents that vary, but too little for an estimate: their edges must be searched."""


def code_range(grid: BinGrid) -> tuple[Float64[Tensor, " L"], Float64[Tensor, " L"]]:
    """Return the least code of each latent, and the largest up to the rounding of the last edge."""
    low, high = grid.edges[:, 0], grid.edges[:, -1]
    slack = 4 * torch.finfo(torch.float64).eps * torch.maximum(low.abs(), high.abs())
    return low, high + slack


def narrow_bins(
    edges: Float64[Tensor, " edges"], codes: Float[Tensor, " N"]
) -> Int32[Tensor, " N"]:
    """Return the bins of one narrow latent, by search in its edges."""
    left = edges[:-1].contiguous()
    return torch.searchsorted(left, codes.double().contiguous(), right=True).to(torch.int32) - 1
