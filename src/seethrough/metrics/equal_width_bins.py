"""Equal-width binning of codes, each over its own range, as numpy.histogram cuts them.

Symbols: M codes, N samples. Codes are rows here, so that one code's samples lie side by side.
"""

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
    not depend on the precision numpy would choose for its edges. The one difference: a constant
    row has all samples in bin 0, where numpy has all of them in some other single bin.

    Raises:
        ValueError: `n_bins` below 1, no samples, or a code that holds NaN or an infinity.
    """
    if n_bins < 1:
        raise ValueError(f"n_bins must be at least 1, got {n_bins}")
    if codes.shape[1] == 0:
        raise ValueError("codes need at least one sample, got none")
    x = codes.to(torch.float64, memory_format=torch.contiguous_format)
    low, high = x.amin(dim=1, keepdim=True), x.amax(dim=1, keepdim=True)
    width = high - low
    _require_finite(width)
    constant = width == 0
    narrow = width <= NARROW_RANGE * torch.maximum(low.abs(), high.abs())
    estimate = _bins_from_estimate(x, low, torch.where(narrow, 1.0, width), n_bins)
    estimate.masked_fill_(constant, 0)
    return _rebin_narrow_codes(estimate, x, (narrow & ~constant)[:, 0], n_bins)


def _require_finite(width: Float64[Tensor, "M 1"]) -> None:
    # NaN and infinities of a row always reach its range, so one check on the range is enough.
    bad = (~torch.isfinite(width[:, 0])).nonzero()
    if len(bad):
        raise ValueError(
            f"codes must be finite, got NaN, an infinity or an overflowing range in "
            f"{len(bad)} of {len(width)} codes"
        )


def _bins_from_estimate(
    x: Float64[Tensor, "M N"],
    low: Float64[Tensor, "M 1"],
    width: Float64[Tensor, "M 1"],
    n_bins: int,
) -> Int32[Tensor, "M N"]:
    # Position in bins, (x - low) / bin width, rounded down a little below and a little above: where
    # both agree the bin is certain; the few samples in between are compared with the edge.
    scale = n_bins / width
    offset = -low * scale
    bins = torch.addcmul(offset - EDGE_TOLERANCE, x, scale).to(torch.int32)
    upper = torch.addcmul(offset + EDGE_TOLERANCE, x, scale).to(torch.int32)
    row, sample = (bins != upper).nonzero(as_tuple=True)
    # numpy.linspace computes edge i as i * (width / n_bins) + low, in this order.
    steps = torch.arange(n_bins + 1, dtype=x.dtype, device=x.device)
    edges = steps * (width / n_bins) + low  # (M, n_bins + 1)
    lower = bins[row, sample].clamp_(0, n_bins - 1)
    above = x[row, sample] >= edges[row, lower + 1]
    bins[row, sample] = (lower + above).clamp_(max=n_bins - 1).to(torch.int32)
    return bins


def _rebin_narrow_codes(
    bins: Int32[Tensor, "M N"], x: Float64[Tensor, "M N"], narrow: Bool[Tensor, "M"], n_bins: int
) -> Int32[Tensor, "M N"]:
    # A loop over codes: such codes (a large offset with a tiny spread) are rare.
    for row in narrow.nonzero()[:, 0].tolist():
        values = x[row]
        edges = np.linspace(float(values.min()), float(values.max()), n_bins + 1)[:-1]
        left_edges = torch.from_numpy(edges).to(x.device)
        bins[row] = torch.searchsorted(left_edges, values, right=True).to(torch.int32) - 1
    return bins
