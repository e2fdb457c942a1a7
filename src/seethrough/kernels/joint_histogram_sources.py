"""What is counted jointly on a CPU: bins as they are, or codes that are binned on the way.

Arrays are numpy's, whose loops stay in one thread: blocks are too small to gain from more.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int32, Int64, Shaped
from torch import Tensor

from seethrough.kernels.bin_grid import EDGE_TOLERANCE, BinGrid, code_range, narrow_bins


@dataclass(frozen=True, slots=True)
class BinSource:
    """Bins that are known already."""

    codes: Int[Tensor, "N L"]
    """Bins, 0 to n_bins - 1."""
    n_bins: int
    """Number of bins."""

    def __post_init__(self) -> None:
        """Refuse bins outside their range."""
        if self.codes.numel():
            low, high = (int(end) for end in torch.aminmax(self.codes))
            if low < 0 or high >= self.n_bins:
                raise ValueError(
                    f"bins go from {low} to {high}, allowed are 0 to {self.n_bins - 1}"
                )

    def read(self, samples: slice, latents: slice) -> Int32[np.ndarray, "n some"]:
        """Return some of the bins."""
        return self.codes[samples, latents].to(torch.int32).cpu().numpy()

    def first(self) -> Int32[np.ndarray, " L"]:
        """Return a value of each latent that surely lies in its first bin."""
        return np.zeros(self.codes.shape[1], dtype=np.int32)

    def narrow(self) -> Bool[np.ndarray, " L"]:
        """Return which latents must be binned as a whole: none."""
        return np.zeros(self.codes.shape[1], dtype=bool)

    def entry_bins(
        self, values: Int32[np.ndarray, " k"], latents: Int64[np.ndarray, " k"]
    ) -> Int32[np.ndarray, " k"]:
        """Return the bins of single entries."""
        return values

    def tile_bins(
        self, tile: Int32[np.ndarray, "rows n"], latents: slice
    ) -> Int32[np.ndarray, "rows n"]:
        """Return the bins of a tile."""
        return tile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodeSource:
    """Codes that are binned when they are counted."""

    codes: Float[Tensor, "N L"]
    """Codes."""
    edges: Float64[np.ndarray, "L edges"]
    """Edges of their bins."""
    scale: Float64[np.ndarray, "L 1"]
    """Bins per unit of code."""
    offset: Float64[np.ndarray, "L 1"]
    """Position of code 0, in bins."""
    is_narrow: Bool[np.ndarray, " L"]
    """Latents whose edges must be searched."""
    low: Float64[np.ndarray, " L"]
    """Least code of each latent."""
    high: Float64[np.ndarray, " L"]
    """Largest code of each latent, up to rounding."""

    @classmethod
    def of(cls, codes: Float[Tensor, "N L"], grid: BinGrid) -> "CodeSource":
        """Return the source of codes whose bins are given."""
        low, high = code_range(grid)
        return cls(
            codes=codes.detach(),
            edges=grid.edges.cpu().numpy(),
            scale=grid.scale.cpu().numpy(),
            offset=grid.offset.cpu().numpy(),
            is_narrow=grid.narrow.cpu().numpy(),
            low=low.cpu().numpy(),
            high=high.cpu().numpy(),
        )

    def read(self, samples: slice, latents: slice) -> Float[np.ndarray, "n some"]:
        """Return some of the codes; numpy has no bfloat16, so half precision becomes single."""
        some = self.codes[samples, latents]
        return some.to(torch.promote_types(some.dtype, torch.float32)).cpu().numpy()

    def first(self) -> Float[np.ndarray, " L"]:
        """Return a value of each latent that surely lies in its first bin."""
        return self.low.astype(self.read(slice(0, 0), slice(0, 0)).dtype)

    def narrow(self) -> Bool[np.ndarray, " L"]:
        """Return which latents must be binned as a whole."""
        return self.is_narrow

    def entry_bins(
        self, values: Float[np.ndarray, " k"], latents: Int64[np.ndarray, " k"]
    ) -> Int32[np.ndarray, " k"]:
        """Return the bins of single entries of latents that are not narrow.

        The position rounded down from a little below is the bin or the one before it; comparing
        with the edge between the two decides.
        """
        x = values.astype(np.float64)
        _require_inside(x, x, self.low[latents], self.high[latents])
        last = self.edges.shape[1] - 2
        position = x * self.scale[latents, 0] + self.offset[latents, 0]
        below = (position - EDGE_TOLERANCE).astype(np.int32).clip(0, last)
        found = np.asarray(below + (x >= self.edges[latents, below + 1]))
        return found.clip(max=last).astype(np.int32)

    def tile_bins(
        self, tile: Float[np.ndarray, "rows n"], latents: slice
    ) -> Int32[np.ndarray, "rows n"]:
        """Return the bins of a tile.

        The position is rounded down from a little below and from a little above: where both agree
        the bin is certain, and the few entries in between are treated one by one.
        """
        _require_inside(tile.min(axis=1), tile.max(axis=1), self.low[latents], self.high[latents])
        position = tile.astype(np.float64)
        position *= self.scale[latents]
        position += self.offset[latents] - EDGE_TOLERANCE
        found: Int32[np.ndarray, "rows n"] = position.astype(np.int32)
        position += 2 * EDGE_TOLERANCE
        # Flat: numpy finds the few that differ faster along one axis than along two.
        unsure = np.flatnonzero(found != position.astype(np.int32))
        rows = latents.start + unsure // tile.shape[1]
        found.reshape(-1)[unsure] = self.entry_bins(tile.reshape(-1)[unsure], rows)
        for narrow in np.flatnonzero(self.is_narrow[latents]).tolist():  # large offset, tiny spread
            edges = torch.from_numpy(self.edges[latents.start + narrow])
            found[narrow] = narrow_bins(edges, torch.from_numpy(tile[narrow])).numpy()
        return found


def _require_inside(
    least: Shaped[np.ndarray, " n"],
    most: Shaped[np.ndarray, " n"],
    low: Shaped[np.ndarray, " n"],
    high: Shaped[np.ndarray, " n"],
) -> None:
    # NaN is neither above nor below.
    if not ((least >= low) & (most <= high)).all():
        raise ValueError("got codes that are NaN or outside the grid")
