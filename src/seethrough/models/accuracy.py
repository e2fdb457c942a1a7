"""Share of images a classifier gets right, with its interval."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import NormalDist

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from tqdm import tqdm

from seethrough.data.labelled_images import LabelledImages

N_BEST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportion:
    """A share of images with Wilson's interval."""

    n_right: int
    """Number of images that count."""
    n: int
    """Number of images, at least 1."""
    value: float
    """n_right / n, 0 to 1."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """How often a classifier is right on some images."""

    top_1: Proportion
    """Share of images whose class has the highest logit."""
    top_5: Proportion
    """Share of images whose class is among the five highest, of all classes where C < 5."""
    class_counts: Int64[Tensor, " C"]
    """Number of images of each class, on the CPU."""
    class_right: Int64[Tensor, " C"]
    """How many of them have their class highest."""


def accuracy(
    model: nn.Module,
    images: LabelledImages,
    index: Int64[Tensor, " N"],
    batch_size: int = 64,
    device: str | torch.device = "cpu",
) -> Accuracy:
    """Return top-1 and top-5 accuracy over the images at `index`, with 95 % Wilson intervals.

    The model is on `device` already and is run in evaluation mode; its own mode is restored. Of
    equal logits the class with the lower number comes first; an image with NaN among its logits is
    never right. A progress bar goes to standard error when that is a terminal.

    Raises:
        ValueError: no indices, an index outside the images, a batch size below 1, or a label that
            is no class of the model.
    """
    if not len(index):
        raise ValueError("index is empty, allowed is at least one image")
    of_batch = []
    bar = tqdm(total=len(index), desc="accuracy", unit="image", file=sys.stderr, disable=None)
    with _evaluating(model), bar:
        # Images are made outside inference mode: what their source keeps must stay of use.
        for inputs, labels in images.batches(index, batch_size, device):
            with torch.inference_mode():
                logits = model(inputs)
            _require_classes(logits.shape[1], images)
            of_batch.append(rank_of_class(logits, labels))
            bar.update(len(labels))
    ranks, classes = torch.cat(of_batch).cpu(), images.labels[index.cpu()]
    return Accuracy(
        top_1=wilson_interval(int((ranks < 1).sum()), len(ranks)),
        top_5=wilson_interval(int((ranks < N_BEST).sum()), len(ranks)),
        class_counts=torch.bincount(classes, minlength=len(images.class_names)),
        class_right=torch.bincount(classes[ranks < 1], minlength=len(images.class_names)),
    )


def rank_of_class(logits: Float[Tensor, "N C"], labels: Int64[Tensor, " N"]) -> Int64[Tensor, " N"]:
    """Return how many classes come before each image's own, 0 to C - 1.

    Those are the classes with a higher logit, and of equal ones those with a lower number. NaN
    comes before everything, and everything else before a class whose own logit is NaN.
    """
    own = logits.gather(1, labels[:, None])  # (N, 1)
    number = torch.arange(logits.shape[1], device=logits.device)
    others: Bool[Tensor, "N C"] = number != labels[:, None]
    # Written so that NaN on either side counts as higher.
    higher = ~(logits <= own)
    earlier = (logits == own) & (number < labels[:, None])
    return ((higher | earlier) & others).sum(dim=1)


def wilson_interval(n_right: int, n: int, level: float = 0.95) -> Proportion:
    """Return n_right / n with Wilson's score interval, which stays within 0 and 1.

    With z the normal quantile of the level the interval is
    (p + z^2 / 2n -+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) {cite:p}`wilson1927`.

    >>> share = wilson_interval(8, 10)
    >>> share.value, round(share.low, 4), round(share.high, 4)
    (0.8, 0.4902, 0.9433)

    Raises:
        ValueError: n below 1, n_right outside 0 to n, or a level outside (0, 1).
    """
    if n < 1:
        raise ValueError(f"n is {n}, allowed is at least 1")
    if not 0 <= n_right <= n:
        raise ValueError(f"n_right is {n_right}, allowed is 0 to n = {n}")
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, allowed is above 0 and below 1")
    share, z = n_right / n, NormalDist().inv_cdf((1 + level) / 2)
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / scale
    # Rounding may push an end past a share of 0 or 1, where the interval ends exactly.
    low = 0.0 if n_right == 0 else middle - half
    high = 1.0 if n_right == n else middle + half
    return Proportion(n_right=n_right, n=n, value=share, low=low, high=high)


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every part of the model into evaluation mode, and back into its own afterwards."""
    modes = {part: part.training for part in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def _require_classes(n_classes: int, images: LabelledImages) -> None:
    highest = int(images.labels.max())
    if highest >= n_classes:
        raise ValueError(
            f"{images.name} has the label {highest}, allowed is 0 to {n_classes - 1}: the model "
            f"has {n_classes} classes"
        )
