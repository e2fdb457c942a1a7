"""How many units of a fresh sparse autoencoder are dead, predicted from its input alone.

The model of simon2026death. The input has mean m and spread s; gamma = ||m|| / ||s||. Over a
random encoder the pre-activation of a unit has a fixed part, from the mean, and a part that varies
between samples, gamma times smaller. Over n samples the varying part reaches about C standard
deviations, so

    P(never positive)       = Phi(-C / gamma),        C   = Phi^-1(1 - 1/n),
    P(never among the k)    = Phi(t_k - C / gamma),   t_k = Phi^-1(1 - k/M).

Phi is the standard normal distribution function. The model assumes many independent input
directions; where few carry the variance (`participation_ratio`), more units die than it says.
Symbols: N samples, D input dimensions, M units, k kept per sample.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from jaxtyping import Float, Float64
from torch import Tensor

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeathProbability:
    """Predicted share of dead units at initialisation."""

    by_relu: float
    """Probability that a unit's pre-activation is positive on no sample, 0 to 1."""
    below_topk: float
    """Probability that it is above the Top-k threshold on no sample, 0 to 1."""

    @property
    def never_active(self) -> float:
        """Probability of never firing, by either cause: the larger of the two."""
        return max(self.by_relu, self.below_topk)

    @property
    def by_topk(self) -> float:
        """Probability of being positive somewhere but never among the k largest."""
        return self.never_active - self.by_relu


def death_probability(
    gamma: float, *, n_samples: int, k_per_sample: int, width: int
) -> DeathProbability:
    """Return the predicted probabilities of death at initialisation.

    `gamma` is `mean_to_spread` of the input, 0 or more (0: a centred input, no death by ReLU).
    For k_per_sample at or above the width Top-k keeps everything and kills nothing.

    >>> death = death_probability(1.96, n_samples=10_000, k_per_sample=50, width=500)
    >>> round(death.never_active, 2)
    0.27

    Raises:
        ValueError: `gamma` negative or NaN, fewer than 3 samples, `k_per_sample` or `width` below
            1.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma must be 0 or more, got {gamma}")
    reach = sample_reach(n_samples) / gamma if gamma > 0 else math.inf
    threshold = topk_threshold(k_per_sample, width)
    return DeathProbability(by_relu=_phi(-reach), below_topk=_phi(threshold - reach))


def gamma_for_death(share: float, *, n_samples: int, k_per_sample: int, width: int) -> float:
    """Return the gamma at which the model predicts this share of units below the Top-k threshold.

    Inverse of `death_probability(...).below_topk`: C / (t_k - Phi^-1(share)).

    Raises:
        ValueError: `share` not above 0 and below 1 - k / width (the model's limit for a large
            gamma), or what `death_probability` refuses.
    """
    threshold = topk_threshold(k_per_sample, width)
    if not 0 < share < _phi(threshold):
        raise ValueError(f"share must be above 0 and below {_phi(threshold):.4g}, got {share}")
    return sample_reach(n_samples) / (threshold - NORMAL.inv_cdf(share))


def sample_reach(n_samples: int) -> float:
    """Return C: how many standard deviations the largest of `n_samples` normal values reaches."""
    if n_samples < 3:
        raise ValueError(f"n_samples must be at least 3, got {n_samples}")
    return -NORMAL.inv_cdf(1 / n_samples)


def topk_threshold(k_per_sample: int, width: int) -> float:
    """Return t_k: the standard normal value that a share k / width exceeds; -inf if all do."""
    if k_per_sample < 1 or width < 1:
        raise ValueError(
            f"k_per_sample and width must be at least 1, got {k_per_sample} and {width}"
        )
    if k_per_sample >= width:
        return -math.inf
    return -NORMAL.inv_cdf(k_per_sample / width)


def mean_to_spread(x: Float[Tensor, "N D"]) -> Float64[Tensor, ""]:
    """Return gamma = ||mean|| / ||standard deviation|| over the samples of an input.

    The standard deviation has N in the denominator. Infinite if the input does not vary but is not
    0, NaN if it is 0 throughout. Not changed by scaling the input; shifting it changes it.
    """
    _require_samples(x)
    values = x.double()
    mean = values.mean(dim=0)
    spread = (values - mean).square().mean(dim=0).sum().sqrt()
    return mean.square().sum().sqrt() / spread


def participation_ratio(x: Float[Tensor, "N D"]) -> Float64[Tensor, ""]:
    """Return (sum of variances)^2 / sum of their squares, over principal directions; 1 to D.

    The number of directions that carry the variance: D if all carry the same, 1 if one carries
    everything, NaN if the input does not vary.
    """
    _require_samples(x)
    centred = x.double() - x.double().mean(dim=0)
    # Both products have the same eigenvalues, apart from zeros; the smaller one is cheaper.
    products = centred @ centred.T if len(x) < x.shape[1] else centred.T @ centred
    return products.trace() ** 2 / products.square().sum()


def _phi(z: float) -> float:
    return NORMAL.cdf(z)


def _require_samples(x: Float[Tensor, "N D"]) -> None:
    if 0 in x.shape:
        raise ValueError(
            f"an input needs at least one sample and one dimension, got {tuple(x.shape)}"
        )
