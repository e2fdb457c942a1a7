"""Mutual information gap (MIG) {cite:p}`chen2018isolating`, binned as in disentanglement_lib.

Every code is cut into equal-width bins over its own range, all arithmetic in float64, edges as
`numpy.histogram` makes them. I is in nats, estimated from counts; H(v) comes from the same sample.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor


def mutual_information_gap(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> float:
    """Return MIG: mean over factors of (best code's I - second best's I) / H, in [0, 1].

    A constant code has I = 0. Of tied codes the gap is 0. Factors with one class in the sample
    (H = 0) are refused. Raises ValueError for NaN or infinite codes, fewer than two codes, an empty
    sample, lengths that differ, or fewer than two bins.
    """
    if codes.shape[1] < 2:
        raise ValueError(f"got {codes.shape[1]} code, allowed are two or more: a gap needs both")
    information = mutual_information(codes, factors, n_bins)
    best, second = information.topk(2, dim=0).values
    return float(((best - second) / factor_entropies(factors)).mean())


def best_normalised_information(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, " F"]:
    """Return per factor the best single code's I / H, in [0, 1]: MIG without the gap.

    In a dictionary of hundreds of codes several share a factor and the gap is near 0 by
    construction; this number is not. It is biased upwards by the search over codes: read it beside
    a shuffled control.
    """
    information = mutual_information(codes, factors, n_bins)
    return information.amax(0) / factor_entropies(factors)


def shuffled_gap(
    codes: Float[Tensor, "N M"],
    factors: Int64[Tensor, "N F"],
    generator: torch.Generator,
    n_bins: int = 20,
) -> float:
    """Return the MIG of codes against factors of other images: what chance alone scores."""
    order = torch.randperm(len(codes), generator=generator, device=generator.device)
    return mutual_information_gap(codes[order.to(codes.device)], factors, n_bins)


def mutual_information(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> Float64[Tensor, "M F"]:
    """Return I(code; factor) in nats for every pair, from binned counts.

    One pass of counting per factor serves all codes: a code's bin and the factor's class make one
    number, and equal numbers are counted.
    """
    _check(codes, factors, n_bins)
    bins = equal_width_bins(codes, n_bins)  # [M N]
    return torch.stack([_information(bins, n_bins, factor) for factor in factors.unbind(1)], dim=1)


def factor_entropies(factors: Int64[Tensor, "N F"]) -> Float64[Tensor, " F"]:
    """Return each factor's entropy in nats; ValueError for one that is constant in the sample."""
    entropies = torch.stack(
        [_entropy(torch.bincount(factor) / len(factor)) for factor in factors.double().long().T]
    )
    if (entropies == 0).any():
        constant = int((entropies == 0).nonzero()[0])
        raise ValueError(f"factor {constant} has one class in the sample, allowed are two or more")
    return entropies


def equal_width_bins(codes: Float[Tensor, "N M"], n_bins: int) -> Int64[Tensor, "M N"]:
    """Return the bin of every code, 0 to n_bins - 1, over the code's own range.

    Left edges count as inside, the largest value belongs to the last bin, a constant code has one
    bin for all.
    """
    values = codes.detach().double().T.contiguous()  # [M N]
    low, high = values.amin(1), values.amax(1)
    constant = low == high
    low, high = torch.where(constant, low - 0.5, low), torch.where(constant, high + 0.5, high)
    # numpy's own linspace, code by code in one call, so that edges agree to the last bit
    edges = np.linspace(low.cpu().numpy(), high.cpu().numpy(), n_bins + 1, axis=1)
    left = torch.from_numpy(np.ascontiguousarray(edges[:, 1:-1])).to(values.device)  # [M n_bins-1]
    return torch.searchsorted(left, values, right=True)


def _information(
    bins: Int64[Tensor, "M N"], n_bins: int, factor: Int64[Tensor, " N"]
) -> Float64[Tensor, " M"]:
    n_codes, n_images = bins.shape
    n_classes = int(factor.max()) + 1
    joint = bins * n_classes + factor
    joint += torch.arange(n_codes, device=bins.device)[:, None] * (n_bins * n_classes)
    counts = torch.bincount(joint.flatten(), minlength=n_codes * n_bins * n_classes)
    p = counts.reshape(n_codes, n_bins, n_classes).double() / n_images
    joint_entropy, bin_entropy = _entropy(p.flatten(1)), _entropy(p.sum(2))
    return (bin_entropy + _entropy(p.sum(1)) - joint_entropy).clamp_min(0)


def _entropy(p: Float[Tensor, "*M P"]) -> Float64[Tensor, "*M"]:
    return -torch.special.xlogy(p.double(), p.double()).sum(-1)


def _check(codes: Tensor, factors: Tensor, n_bins: int) -> None:
    if len(codes) != len(factors) or not len(codes):
        raise ValueError(
            f"got {len(codes)} codes and {len(factors)} factors, allowed is one of each per image"
        )
    if n_bins < 2:
        raise ValueError(f"n_bins is {n_bins}, allowed is at least 2")
    if not codes.isfinite().all():
        raise ValueError("codes hold NaN or infinity, allowed are finite numbers")
    if factors.min() < 0:
        raise ValueError(f"a factor has class {int(factors.min())}, allowed is 0 or more")
