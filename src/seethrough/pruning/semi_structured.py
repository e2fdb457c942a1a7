"""N:M masks: of every M consecutive inputs of an output the N lowest scores go; 2:4 and 4:8.

The rank of an entry in its group is the number of the others that go before it. Each pair is
compared once, position by position over the whole matrix: `flat[k:] < flat[:-k]` holds the
comparisons of all entries with the k-th after them. Its M bytes of a group are one machine word, so
masking, adding and shifting words ranks all groups at once, without a gather and without a sort.
"""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

PATTERNS = {"2:4": (4, torch.int32), "4:8": (8, torch.int64)}
"""Length of a group, and the integer that holds its bytes."""


def semi_structured_mask(
    scores: Float[Tensor, "out in"], pattern: str = "2:4"
) -> Bool[Tensor, "out in"]:
    """Return True for the upper half of each group of 4 (2:4) or 8 (4:8) consecutive inputs.

    Of equal scores the earlier goes first, as after a stable sort.

    >>> semi_structured_mask(torch.tensor([[4.0, 1.0, 1.0, 1.0]])).tolist()
    [[True, False, False, True]]

    Raises ValueError for an unknown pattern, NaN scores, or rows that are no whole groups.
    """
    check_pattern(pattern)
    length, word = PATTERNS[pattern]
    if scores.shape[1] % length:
        raise ValueError(
            f"a row has {scores.shape[1]} inputs, allowed for {pattern} is a multiple of {length}"
        )
    if scores.numel() == 0:
        return torch.ones_like(scores, dtype=torch.bool)
    if bool(scores.amax().isnan()):
        raise ValueError(f"scores must not be NaN, got {int(scores.isnan().sum())} of them")
    # bfloat16, which numpy does not know, becomes float32.
    exact = scores.detach().to(torch.promote_types(scores.dtype, torch.float32))
    ranks = _ranks(exact.reshape(-1), length, word)
    # Ranks from length / 2 on have the bit of that value set, those below have not.
    bit = ranks.bitwise_right_shift_(length // 4).bitwise_and_(_bytes([1] * length))
    return bit.view(torch.bool).view(scores.shape)


def check_pattern(pattern: str) -> None:
    """Raise ValueError unless the pattern is known."""
    if pattern not in PATTERNS:
        raise ValueError(f"pattern is {pattern!r}, allowed are {', '.join(PATTERNS)}")


def _ranks(scores: Float[Tensor, " n"], length: int, word: torch.dtype) -> Tensor:
    """Return one word per group; its byte i is the rank of entry i, 0 for the first to go.

    Of the pair (i, i + k) the later one goes first if it is strictly lower, which adds 1 to the
    rank of i, and else the earlier, which adds 1 to that of i + k. Starting from byte i = i, as if
    no later entry were lower, each lower one adds 1 to byte i and takes 1 from byte i + k.
    """
    ranks = torch.full(
        (len(scores) // length,), _bytes(range(length)), dtype=word, device=scores.device
    )
    lower = torch.zeros(len(scores), dtype=torch.bool, device=scores.device)
    words = lower.view(word)
    for k in range(1, length):
        _compare(scores, k, lower)
        words &= _bytes([1] * (length - k))  # pairs that span two groups are dropped
        ranks.add_(words, alpha=1 - 256**k)
    return ranks


def _compare(scores: Float[Tensor, " n"], k: int, lower: Bool[Tensor, " n"]) -> None:
    """Write into `lower`, but for its last k, whether the k-th entry after each is lower."""
    if scores.device.type == "cpu":  # numpy compares several times faster than torch here
        np.less(scores[k:].numpy(), scores[:-k].numpy(), out=lower[:-k].numpy())
    else:
        torch.lt(scores[k:], scores[:-k], out=lower[:-k])


def _bytes(values: Iterable[int]) -> int:
    """Return the integer whose bytes are these, first byte lowest, as processors store them."""
    return int.from_bytes(bytes(values), "little")
