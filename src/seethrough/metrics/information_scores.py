"""Both summaries of one table of mutual information: with the gap (MIG) and without it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.metrics.mig import factor_entropies, mutual_information


@dataclass(frozen=True, slots=True)
class InformationScores:
    """Scores of a code, each the mean over factors of information over the factor's entropy."""

    gap: float
    """MIG: the best code's information minus the second best's, in [0, 1]."""
    best: float
    """The best code's information, in [0, 1]; biased upwards by the search over codes."""


def information_scores(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], n_bins: int = 20
) -> InformationScores:
    """Return MIG and the best code's information from one pass over the codes.

    In a dictionary of hundreds of units several share a factor: their gap is near 0 by
    construction, the best unit's information is not. Errors and ties as in seethrough.metrics.mig.
    """
    normalised = mutual_information(codes, factors, n_bins) / factor_entropies(factors)
    best, second = normalised.topk(2, dim=0).values
    return InformationScores(float((best - second).mean()), float(best.mean()))


def shuffled(factors: Int64[Tensor, "N F"], generator: torch.Generator) -> Int64[Tensor, "N F"]:
    """Return the factors of all images in another order: the control for any score of codes.

    The factors of an image stay together; what a code scores against them is chance and the bias
    of the estimate.
    """
    order = torch.randperm(len(factors), generator=generator, device=generator.device)
    return factors[order.to(factors.device)]
