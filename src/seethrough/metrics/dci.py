"""Disentanglement, completeness and informativeness (DCI) from a model of each factor.

A model of factor f on all codes gives an importance R_if >= 0 to each code i. With P_i. the row i
of R divided by its sum, Q_.f the column f divided by its sum, and entropies H_F, H_M to base F, M,

    disentanglement = sum_i rho_i (1 - H_F(P_i.)),   rho_i = sum_f R_if / sum_if R_if
    completeness    = sum_f w_f (1 - H_M(Q_.f)),     w_f = sum_i R_if / sum_if R_if
    informativeness = mean over factors of the models' accuracy on test images

(eastwood2018framework, section 2, who use lasso and random forests and report an error for the
last; the weights w are those of disentanglement_lib, and equal for models whose importances sum to
one). Codes of no importance weigh nothing.

Gradient boosting, the model of disentanglement_lib, takes minutes on hundreds of codes. The model
here is a forest of extremely randomised trees (geurts2006extremely) in which every split may choose
among ALL codes. Offering each split a random subset, as forests usually do, hands out importance by
lot: a code that holds each factor in one unit and is constant elsewhere then has a disentanglement
near 0.2 instead of 1. Trees grow to the end: cut short, a forest of useless codes puts its few
splits on few codes, and scores higher than an honest one.

Symbols: n training images, m test images, M codes, F factors.
"""

import math
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from seethrough.metrics.train_test import TrainTest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DciScores:
    """The three scores and the importances they come from."""

    disentanglement: float
    """1 if every important code serves one factor, 0 if each serves all equally."""
    completeness: float
    """1 if every factor rests on one code, 0 if each rests on all codes equally."""
    informativeness: float
    """Accuracy on the test images, 0 to 1, mean over factors."""
    importance: Float64[Tensor, "M F"]
    """Importance of each code for each factor; columns sum to 1, or to 0 without any split."""


def dci_scores(data: TrainTest, seed: int, n_trees: int = 10) -> DciScores:
    """Return DCI with a forest of `n_trees` per factor on codes standardised in training.

    Importance is the mean decrease of Gini impurity. Disentanglement and completeness of a useless
    code fall towards 0 as the forest grows: compare equal `n_trees`, n and M only, with `shuffled`
    factors beside. Codes that are constant in training take no part. Runs on the CPU, one thread;
    the time grows with n_trees x n x M.

    Raises:
        ValueError: fewer than two codes or two factors, or `n_trees` below 1.
    """
    from sklearn.ensemble import ExtraTreesClassifier  # type: ignore[import-untyped]

    if n_trees < 1:
        raise ValueError(f"n_trees must be at least 1, got {n_trees}")
    train, test = _standardised(data)
    importances, accuracies = [], []
    # A loop over factors, which are few; the forests run on the CPU.
    for labels, labels_test in zip(data.factors_train.T, data.factors_test.T, strict=True):
        forest = ExtraTreesClassifier(n_trees, max_features=None, random_state=seed, n_jobs=1)
        with warnings.catch_warnings():  # 40 orientations among few images are classes all the same
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            forest.fit(train.numpy(), labels.cpu().numpy())
        importances.append(torch.from_numpy(forest.feature_importances_))
        accuracies.append(forest.score(test.numpy(), labels_test.cpu().numpy()))
    importance = torch.stack(importances, dim=1).to(data.codes_train.device)
    return DciScores(
        disentanglement=float(dci_disentanglement(importance)),
        completeness=float(dci_completeness(importance)),
        informativeness=math.fsum(accuracies) / len(accuracies),
        importance=importance,
    )


def dci_disentanglement(importance: Float[Tensor, "M F"]) -> Float64[Tensor, ""]:
    """Return the disentanglement, 0 to 1, of importances of 0 or above; 0 if all are 0.

    >>> float(dci_disentanglement(torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]])))
    1.0

    Raises:
        ValueError: fewer than two codes or two factors, or an importance below 0 or not finite.
    """
    return _concentration(importance)


def dci_completeness(importance: Float[Tensor, "M F"]) -> Float64[Tensor, ""]:
    """Return the completeness, 0 to 1, of importances of 0 or above; 0 if all are 0.

    >>> float(dci_completeness(torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])))
    0.75

    Raises:
        ValueError: fewer than two codes or two factors, or an importance below 0 or not finite.
    """
    return _concentration(importance.T)


def _concentration(weights: Float[Tensor, "rows columns"]) -> Float64[Tensor, ""]:
    """Return the mean over rows, weighted by their sums, of 1 - entropy to base `columns`."""
    if min(weights.shape) < 2:
        raise ValueError(
            f"DCI needs at least 2 codes and 2 factors, got shape {tuple(weights.shape)}"
        )
    if not bool(((weights >= 0) & torch.isfinite(weights)).all()):
        raise ValueError("importances must be finite and 0 or above, got others")
    weights = weights.double()
    sums = weights.sum(dim=1)
    total = sums.sum()
    shares = weights / sums.where(sums > 0, 1.0)[:, None]
    entropy = -torch.xlogy(shares, shares).sum(dim=1) / math.log(weights.shape[1])
    mean = (sums * (1 - entropy)).sum() / total.where(total > 0, 1.0)
    return mean.clamp(0, 1)  # rounding of the entropy


def _standardised(data: TrainTest) -> tuple[Float[Tensor, "n M"], Float[Tensor, "m M"]]:
    """Return codes of mean 0 and deviation 1 in training, on the CPU; constant codes are 0.

    Trees do not mind the scale, but the forest works in float32, which a large mean would fill.
    """
    train = data.codes_train.double()
    centre = train.mean(dim=0)
    constant = train.amin(dim=0) == train.amax(dim=0)
    scale = torch.where(constant, torch.inf, train.std(dim=0, correction=0))
    both = (train, data.codes_test.double())
    first, second = (((codes - centre) / scale).float().cpu() for codes in both)
    return first, second
