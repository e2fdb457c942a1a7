"""The FactorVAE metric: does holding one factor fixed still one unit above all?

A vote: choose a factor and one of its classes, take a batch of images of that class, and name the
unit whose variance over the batch, relative to its variance over all images, is least. The score is
the accuracy with which the majority vote of each unit names the factor (kim2018disentangling).

Here the images of a batch come from a finite pool whose codes are given: drawn with replacement
from those that share the class. The published metric draws new images for every batch; a pool saves
encoding tens of thousands of them. Variances are those over the whole pool.

Symbols: N images in the pool, M units, A active units, F factors, V votes, B images of a batch.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

# Values of batches held at once: arrays that stay in a processor's cache.
BLOCK_VALUES_CPU = 1 << 17
BLOCK_VALUES_DEVICE = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class FactorVaeScore:
    """Accuracies of the majority vote; both 0 without an active unit."""

    train_accuracy: float
    """Share of the votes that made the majorities and agree with them, 0 to 1."""
    test_accuracy: float
    """Share of new votes that agree with the majorities, 0 to 1: the score."""
    n_active: int
    """Units that took part, 0 to M."""
    tied_share: float
    """Share of all votes in which several units were equally still, 0 to 1."""


def factor_vae_score(
    codes: Float[Tensor, "N M"],
    factors: Int64[Tensor, "N F"],
    generator: torch.Generator,
    *,
    n_train_votes: int = 800,
    n_test_votes: int = 800,
    batch_size: int = 64,
    least_deviation: float = 0.05,
) -> FactorVaeScore:
    """Return the FactorVAE metric of the codes of a pool of images.

    A unit takes part if its standard deviation over the pool is at least `least_deviation` x the
    root mean square of those of all units that vary. disentanglement_lib asks for a deviation of
    at least 0.05 itself (and for 10,000 and 5,000 votes), which means the same for the latent means
    of a VAE whose used latents have deviations near 1; the relative rule also fits a sparse code,
    whose scale is arbitrary.

    Equally still units: the first one gets the vote; a unit without votes names the first factor.
    Read a sparse code's score with `tied_share` beside it: a unit that is silent on the whole batch
    has variance 0, and where several are, the vote says which unit comes first and nothing else.

    Raises:
        ValueError: no image, unit or factor, unequal sample counts, values that are not finite,
            fewer than one vote of each kind, fewer than two images in a batch, or
            `least_deviation` outside 0 to 1.
    """
    _require_votes(n_train_votes, n_test_votes, batch_size, least_deviation)
    _require_pool(codes, factors)
    standardised = _active_units(codes, least_deviation)
    n_active = standardised.shape[1]
    if n_active == 0:
        return FactorVaeScore(train_accuracy=0.0, test_accuracy=0.0, n_active=0, tied_share=0.0)
    n_votes = n_train_votes + n_test_votes
    fixed, images = _draw(factors, n_votes, batch_size, generator)
    unit, tied = _stillest_unit(standardised, images)
    n_factors = factors.shape[1]
    train = torch.bincount(
        unit[:n_train_votes] * n_factors + fixed[:n_train_votes], minlength=n_active * n_factors
    ).view(n_active, n_factors)
    majority = train.argmax(dim=1)
    agrees = majority[unit] == fixed
    return FactorVaeScore(
        train_accuracy=float(agrees[:n_train_votes].double().mean()),
        test_accuracy=float(agrees[n_train_votes:].double().mean()),
        n_active=n_active,
        tied_share=float(tied.double().mean()),
    )


def _active_units(codes: Float[Tensor, "N M"], least_deviation: float) -> Float64[Tensor, "N A"]:
    """Return the units that take part, divided by their standard deviation over the pool."""
    values = codes.double()
    varies = values.amin(dim=0) < values.amax(dim=0)
    deviation = torch.where(varies, values.std(dim=0, correction=0), 0.0)
    scale = (deviation.square().sum() / varies.sum()).sqrt()  # NaN where nothing varies
    active = varies & (deviation >= least_deviation * scale)
    return values[:, active] / deviation[active]


def _draw(
    factors: Int64[Tensor, "N F"], n_votes: int, batch_size: int, generator: torch.Generator
) -> tuple[Int64[Tensor, " V"], Int64[Tensor, "V B"]]:
    """Return (fixed factor, images of the batch) for each vote.

    The class is that of an image drawn from the pool: as frequent as in the pool, never empty.
    """
    n, n_factors = factors.shape
    where = generator.device
    fixed = torch.randint(n_factors, (n_votes,), generator=generator, device=where)
    anchor = torch.randint(n, (n_votes,), generator=generator, device=where)
    uniform = torch.rand(
        n_votes, batch_size, dtype=torch.float64, generator=generator, device=where
    )
    fixed, anchor, uniform = (drawn.to(factors.device) for drawn in (fixed, anchor, uniform))
    labels = factors.T.contiguous()
    ordered, order = labels.sort(dim=1, stable=True)  # (F, N): images of a class side by side
    first = torch.searchsorted(ordered, labels)[fixed, anchor]
    size = torch.searchsorted(ordered, labels, right=True)[fixed, anchor] - first
    rank = (uniform * size[:, None]).long().minimum(size[:, None] - 1)
    return fixed, order[fixed[:, None], first[:, None] + rank]


def _stillest_unit(
    codes: Float64[Tensor, "N A"], images: Int64[Tensor, "V B"]
) -> tuple[Int64[Tensor, " V"], Bool[Tensor, " V"]]:
    """Return (unit of least variance, whether another is equal to it) for each vote."""
    on_cpu = codes.device.type == "cpu"
    n_values = BLOCK_VALUES_CPU if on_cpu else BLOCK_VALUES_DEVICE
    step = max(1, n_values // (images.shape[1] * codes.shape[1]))
    units, ties = [], []
    for block in torch.split(images, step):
        batch = codes[block]  # (block, B, A)
        # From the first image, so that a unit that does not move has a variance of exactly 0.
        batch = batch - batch[:, :1]
        variance = batch.square().mean(dim=1) - batch.mean(dim=1).square()
        least = variance.amin(dim=1, keepdim=True)
        units.append(variance.argmin(dim=1))
        ties.append((variance == least).sum(dim=1) > 1)
    return torch.cat(units), torch.cat(ties)


def _require_votes(
    n_train_votes: int, n_test_votes: int, batch_size: int, least_deviation: float
) -> None:
    if min(n_train_votes, n_test_votes) < 1:
        raise ValueError(
            f"votes of each kind must be at least 1, got {n_train_votes} and {n_test_votes}"
        )
    if batch_size < 2:
        raise ValueError(f"batch_size is {batch_size}, allowed is at least 2")
    if not 0 <= least_deviation <= 1:
        raise ValueError(f"least_deviation is {least_deviation}, allowed is 0 to 1")


def _require_pool(codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"]) -> None:
    if len(codes) != len(factors):
        raise ValueError(
            f"codes and factors need equal sample counts, got {len(codes)} and {len(factors)}"
        )
    if 0 in codes.shape or factors.shape[1] == 0:
        raise ValueError(
            "images, units and factors need at least one each, "
            f"got shapes {tuple(codes.shape)} and {tuple(factors.shape)}"
        )
    if not bool(torch.isfinite(codes).all()):
        bad = (~torch.isfinite(codes)).any(dim=0).nonzero()[:, 0].tolist()
        raise ValueError(f"codes must be finite, got NaN or an infinity in units {bad}")
