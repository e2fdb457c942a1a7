"""A linear probe: how well a linear classifier names each factor from the code.

The classifier is Fisher's linear discriminant with a ridge (friedman1989regularized): the class
whose mean is nearest in the metric of the covariance within classes,

    argmax_c  mu_c^T A x - mu_c^T A mu_c / 2,    A = (S + r t I)^-1,

where S is the covariance within classes, t the mean variance of the codes and r the ridge. It has a
closed form: no iterations, no random numbers, one factorisation per factor. Least squares on class
indicators would be cheaper, but it never names the middle classes of an ordered factor that lies
along one direction (positions, sizes); this does.

Symbols: n training images, m test images, M codes, F factors, C classes of one factor.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from seethrough.metrics.train_test import TrainTest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearProbe:
    """Test accuracy of the probe, and what is reached without the code."""

    accuracy: Float64[Tensor, " F"]
    """Share of test images whose class the probe names, 0 to 1, for each factor."""
    chance: Float64[Tensor, " F"]
    """The same for always naming the commonest class in training, the first of equals."""


def linear_probe(data: TrainTest, ridge: float = 0.01) -> LinearProbe:
    """Return the test accuracy of one linear discriminant per factor, with the level of chance.

    All classes of the training images count as equally likely; a class that is not among them is
    never named. Equal scores go to the lowest class, so codes that are all constant name one class
    throughout. `ridge` is a share of the mean variance of the codes. With 1,024 training images
    0.01 came within 0.03 of the best of 0.001 to 1, on ten principal components of sprites and on
    random Top-k dictionaries of 500 and 1,000 units over them: with as many units as images smaller
    ridges overfit, with few units larger ones blur ordered factors of many classes. Arithmetic in
    float64 with matrices of min(M, n) columns.

    Raises:
        ValueError: `ridge` below 1e-8, where the factorisation loses its digits.
    """
    if not ridge >= 1e-8:
        raise ValueError(f"ridge is {ridge}, allowed is at least 1e-8")
    train, test = _centred(data)
    total = train.T @ train / len(train)
    variance = total.trace() / data.codes_train.shape[1]
    # With all codes constant any ridge will do: every score is 0.
    shift = torch.where(variance > 0, ridge * variance, 1.0)
    total.diagonal().add_(shift)
    accuracies = []
    # A loop over factors, which are few; each has its own classes and factorisation.
    for labels, labels_test in zip(data.factors_train.T, data.factors_test.T, strict=True):
        named = _nearest_mean(train, labels, test, total)
        accuracies.append((named == labels_test).double().mean())
    commonest = torch.stack([torch.bincount(labels).argmax() for labels in data.factors_train.T])
    return LinearProbe(
        accuracy=torch.stack(accuracies),
        chance=(data.factors_test == commonest).double().mean(dim=0),
    )


def _centred(data: TrainTest) -> tuple[Float64[Tensor, "n K"], Float64[Tensor, "m K"]]:
    """Return codes minus their training mean, in min(M, n) orthonormal coordinates.

    With more codes than images the discriminant lies in the span of the training images: nothing
    is lost outside it, and the ridge is the same in any orthonormal basis.
    """
    centre = data.codes_train.double().mean(dim=0)
    train = data.codes_train.double() - centre
    test = data.codes_test.double() - centre
    if train.shape[1] <= len(train):
        return train, test
    basis, coordinates = torch.linalg.qr(train.T)  # (M, n), (n, n)
    return coordinates.T, test @ basis


def _nearest_mean(
    train: Float64[Tensor, "n K"],
    labels: Int64[Tensor, " n"],
    test: Float64[Tensor, "m K"],
    total: Float64[Tensor, "K K"],
) -> Int64[Tensor, " m"]:
    """Return the class named for each test image; `total` is the covariance with the ridge."""
    classes, position = torch.unique(labels, return_inverse=True)
    member = torch.nn.functional.one_hot(position).double()  # (n, C)
    counts = member.sum(dim=0)
    means = (member.T @ train) / counts[:, None]  # (C, K)
    between = means.T @ (means * counts[:, None]) / len(train)
    factor = torch.linalg.cholesky(total - between)
    weights = torch.cholesky_solve(means.T, factor)  # (K, C)
    scores = test @ weights - (means.T * weights).sum(dim=0) / 2
    named: Int64[Tensor, " m"] = classes[scores.argmax(dim=1)]
    return named
