"""Codes and factors of two sets of images: one to fit a classifier on, one to score it on."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainTest:
    """M codes and F factors of n training and m test images, all finite; start from `halves`."""

    codes_train: Float[Tensor, "n M"]
    """Codes that classifiers are fitted on."""
    factors_train: Int64[Tensor, "n F"]
    """Their factor classes, from 0."""
    codes_test: Float[Tensor, "m M"]
    """Codes that classifiers are scored on."""
    factors_test: Int64[Tensor, "m F"]
    """Their factor classes, from 0."""

    def __post_init__(self) -> None:
        shapes = [tuple(part.shape) for part in self._parts()]
        (n, n_codes), (n_labels, n_factors), (m, n_codes_test), (m_labels, n_factors_test) = shapes
        if (n, m, n_codes, n_factors) != (n_labels, m_labels, n_codes_test, n_factors_test):
            raise ValueError(
                "codes and factors need equal sample counts, both halves equal columns, "
                f"got shapes {shapes}"
            )
        if min(n, m, n_codes, n_factors) == 0:
            raise ValueError(f"images, codes and factors need at least one each, got {shapes}")
        for codes in (self.codes_train, self.codes_test):
            if not bool(torch.isfinite(codes).all()):
                bad = (~torch.isfinite(codes)).any(dim=0).nonzero()[:, 0].tolist()
                raise ValueError(f"codes must be finite, got NaN or an infinity in codes {bad}")
        lowest = min(int(self.factors_train.min()), int(self.factors_test.min()))
        if lowest < 0:
            raise ValueError(f"factor classes must be 0 or above, got {lowest}")

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.codes_train, self.factors_train, self.codes_test, self.factors_test


def halves(codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], seed: int) -> TrainTest:
    """Return the images cut into two halves at random; of an odd number, one more to train on.

    The same seed and number of images give the same halves on every device.

    Raises:
        ValueError: fewer than 2 images, or what `TrainTest` refuses.
    """
    if len(codes) < 2:
        raise ValueError(f"two halves need at least 2 images, got {len(codes)}")
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    train, test = order.to(codes.device).tensor_split(2)
    return TrainTest(
        codes_train=codes[train],
        factors_train=factors[train],
        codes_test=codes[test],
        factors_test=factors[test],
    )
