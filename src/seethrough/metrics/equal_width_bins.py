"""Equal-width binning of codes, each over its own range, as numpy.histogram cuts them.

Symbols: M codes, N samples. Codes are rows here, so that one code's samples lie side by side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int32
from torch import Tensor

# Below this range relative to its largest magnitude, a code's edges carry rounding errors that
# are no longer small against a bin, and the quick estimate of the bin is not used.
NARROW_RANGE = 1e-6
# A sample this close to an edge, in bins, is compared with the edge itself. The estimate below
# errs by less than 1e-8 bins for every code that is not narrow.
EDGE_TOLERANCE = 1e-6


def equal_width_bins(codes: Float[Tensor, "M N"], n_bins: int = 20) -> Int32[Tensor, "M N"]:
    """Return the bin, 0 to n_bins - 1, of every sample of every code.

    Each row is cut into `n_bins` bins of equal width between its minimum and its maximum. A sample
    on an edge belongs to the bin right of it, the maximum to the last bin. The bins are those of
    `np.digitize(row, np.histogram(row, n_bins)[1][:-1]) - 1` on the row in float64, bit for bit;
    codes of another precision are converted to float64 first (which is exact), so the result does
    not depend on the precision numpy would choose for its edges. Where numpy gives no bins of use,
    these are: a constant row has all samples in bin 0 (numpy: in some other single bin), and a row
    whose range is a few rounding steps wide is cut by `np.linspace` (numpy: refused).

    >>> equal_width_bins(torch.tensor([[0.0, 0.9, 1.0, 2.0]]), n_bins=2)
    tensor([[0, 0, 1, 1]], dtype=torch.int32)

    Raises:
        ValueError: `n_bins` below 1, no samples, or a code that holds NaN or an infinity.
    """
    return EqualWidthGrid.of(codes, n_bins).bins(codes)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EqualWidthGrid:
    """The bins of M codes, made once; then any block of the same codes can be binned."""

    edges: Float64[Tensor, "M edges"]
    """Edge i of a code is i * (range / n_bins) + minimum, in this order of operations."""
    scale: Float64[Tensor, "M 1"]
    """Bins per unit of the code; 0 for constant and narrow codes."""
    offset: Float64[Tensor, "M 1"]
    """Position of the value 0, in bins."""
    narrow: Bool[Tensor, " M"]
    """Codes that vary, but too little for the estimate of the bin."""

    @classmethod
    def of(cls, codes: Float[Tensor, "M N"], n_bins: int) -> "EqualWidthGrid":
        """Return the bins of these codes; raises what `equal_width_bins` raises."""
        if n_bins < 1:
            raise ValueError(f"n_bins must be at least 1, got {n_bins}")
        if codes.shape[1] == 0:
            raise ValueError("codes need at least one sample, got none")
        low = codes.amin(dim=1, keepdim=True).double()
        high = codes.amax(dim=1, keepdim=True).double()
        width = high - low
        _require_finite(width)
        flat = width <= NARROW_RANGE * torch.maximum(low.abs(), high.abs())
        scale = torch.where(flat, 0.0, n_bins / width)
        steps = torch.arange(n_bins + 1, dtype=torch.float64, device=codes.device)
        return cls(
            edges=steps * (width / n_bins) + low,
            scale=scale,
            offset=-low * scale,
            narrow=(flat & (width > 0))[:, 0],
        )

    def rows(self, some: slice) -> "EqualWidthGrid":
        """Return the bins of some of the codes."""
        return EqualWidthGrid(
            edges=self.edges[some],
            scale=self.scale[some],
            offset=self.offset[some],
            narrow=self.narrow[some],
        )

    def bins(self, codes: Float[Tensor, "M N"]) -> Int32[Tensor, "M N"]:
        """Return the bin of every sample of the codes that the grid was made from.

        The position (x - minimum) / bin width is rounded down from a little below and from a
        little above: where both agree the bin is certain; the few samples in between are compared
        with the edge itself.
        """
        last = self.edges.shape[1] - 2
        # In one pass where the precision changes; `contiguous` then has nothing to do.
        x = codes.to(torch.float64, memory_format=torch.contiguous_format).contiguous()
        bins = torch.addcmul(self.offset - EDGE_TOLERANCE, x, self.scale).to(torch.int32)
        upper = torch.addcmul(self.offset + EDGE_TOLERANCE, x, self.scale).to(torch.int32)
        flat = (bins != upper).view(-1).nonzero()[:, 0]
        lower = bins.view(-1)[flat].clamp_(0, last)
        edge = self.edges[flat // x.shape[1], lower + 1]
        exact = (lower + (x.view(-1)[flat] >= edge)).clamp_(max=last).to(torch.int32)
        bins.view(-1).scatter_(0, flat, exact)
        # A loop over codes: a large offset with a tiny spread is rare.
        for row in self.narrow.nonzero()[:, 0].tolist():
            bins[row] = _bins_by_search(x[row], last + 1)
        return bins


def _bins_by_search(values: Float64[Tensor, " N"], n_bins: int) -> Int32[Tensor, " N"]:
    edges = np.linspace(float(values.min()), float(values.max()), n_bins + 1)
    left_edges = torch.from_numpy(edges[:-1]).to(values.device)
    return torch.searchsorted(left_edges, values, right=True).to(torch.int32) - 1


def _require_finite(width: Float64[Tensor, "M 1"]) -> None:
    # NaN and infinities of a code always reach its range, so one check on the range is enough.
    bad = (~torch.isfinite(width[:, 0])).nonzero()[:, 0].tolist()
    if bad:
        raise ValueError(
            f"codes must be finite, got NaN, an infinity or an overflowing range in "
            f"{len(bad)} of {len(width)} codes, first in code {bad[0]}"
        )
