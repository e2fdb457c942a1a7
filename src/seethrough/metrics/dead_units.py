"""Which units of a sparse layer are dead, by every definition in use.

All rules read the same statistics of one set of held-out images. "Fires" means a value above 0
after the sparsifier: a kept entry of value 0 does not fire.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitActivity:
    """What each of M units did on `n_images` images."""

    n_images: int
    """Images observed, at least 1."""
    relu_count: Int64[Tensor, " M"]
    """Images with a value above 0 before the sparsifier."""
    fired_count: Int64[Tensor, " M"]
    """Images with a value above 0 after the sparsifier."""
    max_activation: Float[Tensor, " M"]
    """Largest value after the sparsifier, 0 for a unit that never fires."""

    def __post_init__(self) -> None:
        if self.n_images < 1:
            raise ValueError(f"n_images is {self.n_images}, allowed is at least 1")

    @classmethod
    def from_codes(
        cls, relu_code: Float[Tensor, "N M"], code: Float[Tensor, "N M"]
    ) -> "UnitActivity":
        """Return the activity in a code before and after the sparsifier, on the CPU.

        Raises ValueError for NaN: a unit that computes NaN is neither dead nor alive.
        """
        if relu_code.isnan().any() or code.isnan().any():
            raise ValueError("a code holds NaN, allowed are numbers")
        return cls(
            n_images=len(code),
            relu_count=(relu_code > 0).sum(0).cpu(),
            fired_count=(code > 0).sum(0).cpu(),
            max_activation=code.amax(0).clamp_min(0).cpu(),
        )


def never_active(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that fire on no image: the definition under test."""
    return activity.fired_count == 0


def dead_by_relu(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that nothing switches on, even without the sparsifier."""
    return activity.relu_count == 0


def dead_by_top_k(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that some image switches on, but never among the k largest."""
    return never_active(activity) & ~dead_by_relu(activity)


def always_on(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that fire on every image, and so tell images apart by value alone."""
    return activity.fired_count == activity.n_images


def frequency_below(activity: UnitActivity, threshold: float) -> Bool[Tensor, " M"]:
    """Return the units that fire on a smaller share of images than `threshold`, never included.

    With fewer than 1 / threshold images this is `never active`.
    """
    return activity.fired_count.double() / activity.n_images < threshold


def layer_scale(activity: UnitActivity) -> float:
    """Return the median of the maxima of live units, 0 if none is alive.

    Of an even number of units the lower middle one counts (torch's median).
    """
    live = activity.max_activation[activity.fired_count > 0]
    return float(live.median()) if len(live) else 0.0


def maximum_below(activity: UnitActivity, threshold: float) -> Bool[Tensor, " M"]:
    """Return the units whose maximum is below `threshold` x the layer's scale, never included."""
    weak = activity.max_activation < threshold * layer_scale(activity)
    return weak | never_active(activity)


def revived(before: UnitActivity, after: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that were dead before and fire after; both on the same images."""
    return never_active(before) & ~never_active(after)


def died(before: UnitActivity, after: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that fired before and are dead after; both on the same images."""
    return ~never_active(before) & never_active(after)


def ceiling(width: int, k: int) -> float:
    """Return the largest dead share that k live units per image leave room for: (M - k) / M.

    Holds if k values stay above 0; print it beside every rate. Raises ValueError unless both are at
    least 1.
    """
    if width < 1 or k < 1:
        raise ValueError(f"width is {width} and k is {k}, allowed is at least 1 for both")
    return max(0, width - k) / width


def dead_share(mask: Bool[Tensor, " M"]) -> float:
    """Return the fraction of units in a mask; ValueError for a layer without units."""
    if not len(mask):
        raise ValueError("the layer has 0 units, allowed is at least 1")
    return float(torch.count_nonzero(mask)) / len(mask)
