"""How far a squeeze has gone, epoch by epoch.

The paper lowers the active count "from 500 to 50 over 50 epochs" by an "adaptive schedule"
{cite}`roy2026collapse`. The shape between the two ends is not known to us. A schedule here is the
share of the squeeze that is done: 0 in the first epoch, 1 in the last and in every epoch after it.

| shape    | share done at progress p         |
|----------|----------------------------------|
| linear   | p (our default)                  |
| cosine   | (1 - cos(pi p)) / 2              |
| constant | 1: no squeeze, its end from the first epoch on |
"""

import math

SHAPES = ("linear", "cosine", "constant")


def share_done(shape: str, epoch: int, epochs: int) -> float:
    """Return the share of the squeeze that is done in one epoch (1-based), from 0 to 1.

    `epochs` is the length of the squeeze; epochs past it keep its end. A squeeze of one epoch is
    done in it.

    >>> share_done("linear", epoch=3, epochs=5)
    0.5

    Raises:
        ValueError: an unknown shape, or an epoch or a length below 1.
    """
    check_shape(shape)
    if epoch < 1 or epochs < 1:
        raise ValueError(f"epoch {epoch} of {epochs}: both count from 1")
    progress = 1.0 if epochs == 1 else min(1.0, (epoch - 1) / (epochs - 1))
    match shape:
        case "linear":
            return progress
        case "cosine":
            return 0.5 * (1 - math.cos(math.pi * progress))
    return 1.0


def check_shape(shape: str) -> None:
    """Raise ValueError unless `shape` is a known schedule."""
    if shape not in SHAPES:
        raise ValueError(f"schedule is {shape!r}, allowed are {', '.join(SHAPES)}")
