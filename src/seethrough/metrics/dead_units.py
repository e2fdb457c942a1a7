"""Which units of a sparse code are dead, by every definition in use, on held-out images.

A unit fires on an image if its value after the sparsifier is greater than 0. A unit that a Top-k
sparsifier keeps at the value 0 has not fired: counting it would hide dead units. There are two
ways to die. Dead by ReLU: the pre-activation is never positive. Dead by Top-k: it is positive on
some image but never among the kept ones. Together they are the units that never fire.

Symbols: M units, B images of a batch. A mask is True where the unit is dead (or rare, or weak).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitActivity:
    """What each of M units did on a set of images; start from `UnitActivity.none`."""

    n_images: int
    """Images seen, 0 or more."""
    fired_count: Int64[Tensor, " M"]
    """Images on which the unit's value after the sparsifier is greater than 0."""
    relu_count: Int64[Tensor, " M"]
    """Images on which the unit's value before the sparsifier is greater than 0."""
    max_activation: Float[Tensor, " M"]
    """Largest value after the sparsifier; 0 if the unit never fired, NaN once a value was NaN."""

    def __post_init__(self) -> None:
        widths = [len(self.fired_count), len(self.relu_count), len(self.max_activation)]
        if len(set(widths)) != 1:
            raise ValueError(f"all statistics need one entry per unit, got lengths {widths}")
        if self.n_images < 0:
            raise ValueError(f"n_images must be 0 or more, got {self.n_images}")

    @classmethod
    def none(cls, width: int, device: torch.device | str = "cpu") -> "UnitActivity":
        """Return the statistics of `width` units on no image."""
        if width < 1:
            raise ValueError(f"width must be at least 1, got {width}")
        counts = torch.zeros(width, dtype=torch.int64, device=device)
        largest = torch.zeros(width, dtype=torch.float32, device=device)
        return cls(
            n_images=0, fired_count=counts, relu_count=counts.clone(), max_activation=largest
        )

    def observe(self, relu: Float[Tensor, "B M"], sparse: Float[Tensor, "B M"]) -> "UnitActivity":
        """Return the statistics with one more batch counted in.

        `relu` holds the values before the sparsifier (after the ReLU, if there is one; a raw
        pre-activation counts the same), `sparse` those after it. Nothing is moved off the device.
        """
        if relu.shape != sparse.shape or relu.shape[1] != len(self.fired_count):
            raise ValueError(
                f"batches need shape (B, {len(self.fired_count)}), "
                f"got {tuple(relu.shape)} and {tuple(sparse.shape)}"
            )
        if len(relu) == 0:
            return self
        largest = torch.maximum(self.max_activation, sparse.amax(dim=0).to(torch.float32))
        return UnitActivity(
            n_images=self.n_images + len(relu),
            fired_count=self.fired_count + (sparse > 0).sum(dim=0),
            relu_count=self.relu_count + (relu > 0).sum(dim=0),
            max_activation=largest,
        )


def unit_activity(
    batches: Iterable[tuple[Float[Tensor, "_ M"], Float[Tensor, "_ M"]]],
) -> UnitActivity:
    """Return the statistics over batches of (values before, values after the sparsifier).

    Raises:
        ValueError: no batch, or batches of different widths.
    """
    activity = None
    for relu, sparse in batches:
        if activity is None:
            activity = UnitActivity.none(relu.shape[1], relu.device)
        activity = activity.observe(relu, sparse)
    if activity is None:
        raise ValueError("unit activity needs at least one batch, got none")
    return activity


def never_active(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that fired on no image: dead by ReLU or dead by Top-k."""
    _require_usable(activity)
    return activity.fired_count == 0


def dead_by_relu(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units whose value before the sparsifier is positive on no image."""
    _require_usable(activity)
    return activity.relu_count == 0


def dead_by_topk(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that are positive on some image before the sparsifier, on none after."""
    _require_usable(activity)
    return (activity.relu_count > 0) & (activity.fired_count == 0)


def always_on(activity: UnitActivity) -> Bool[Tensor, " M"]:
    """Return the units that fired on every image."""
    _require_usable(activity)
    return activity.fired_count == activity.n_images


def frequency_below(activity: UnitActivity, frequency: float) -> Bool[Tensor, " M"]:
    """Return the units that fired on less than this share of the images, 0 to 1.

    With n images a threshold of 1/n or less marks the same units as `never_active`.
    """
    _require_usable(activity)
    if not 0 < frequency <= 1:
        raise ValueError(f"frequency must be above 0 and at most 1, got {frequency}")
    return activity.fired_count.double() / activity.n_images < frequency


def layer_scale(activity: UnitActivity) -> Float64[Tensor, ""]:
    """Return the median of the largest activations of the units that fired; NaN if none did."""
    _require_usable(activity)
    live = torch.where(activity.fired_count > 0, activity.max_activation.double(), torch.nan)
    return live.nanquantile(0.5)


def maximum_below(activity: UnitActivity, fraction: float) -> Bool[Tensor, " M"]:
    """Return the units whose largest activation is below this fraction of the layer scale.

    Units that never fired are always among them. Relative to the layer's own scale, the answer
    does not change if all activations are multiplied by one number.
    """
    if not fraction > 0:
        raise ValueError(f"fraction must be above 0, got {fraction}")
    weak = activity.max_activation.double() < fraction * _scale_or_zero(activity)
    return weak | never_active(activity)


def share(mask: Bool[Tensor, " M"]) -> float:
    """Return the share of True entries, 0 to 1."""
    if len(mask) == 0:
        raise ValueError("a share needs at least one unit, got none")
    return float(mask.double().mean())


def revived(dead_before: Bool[Tensor, " M"], dead_after: Bool[Tensor, " M"]) -> Bool[Tensor, " M"]:
    """Return the units that were dead at the earlier epoch and are not at the later one."""
    return dead_before & ~dead_after


def died(dead_before: Bool[Tensor, " M"], dead_after: Bool[Tensor, " M"]) -> Bool[Tensor, " M"]:
    """Return the units that are dead at the later epoch and were not at the earlier one."""
    return ~dead_before & dead_after


def ceiling(width: int, k_per_image: int) -> float:
    """Return the largest share of never active units that Top-k allows: (width - k) / width.

    With k units kept on every image at positive values, at least k of them fire somewhere. The
    ceiling is 0 once k reaches the width.

    >>> ceiling(500, 50)
    0.9
    """
    if width < 1 or k_per_image < 0:
        raise ValueError(
            f"width must be at least 1 and k_per_image at least 0, got {width} and {k_per_image}"
        )
    return max(0, width - k_per_image) / width


def _scale_or_zero(activity: UnitActivity) -> Float64[Tensor, ""]:
    # With no live unit every unit is dead already, whatever the scale.
    return layer_scale(activity).nan_to_num(nan=0.0)


def _require_usable(activity: UnitActivity) -> None:
    if activity.n_images == 0:
        raise ValueError("dead units need at least one image, got none")
    if bool(torch.isnan(activity.max_activation).any()):
        n_bad = int(torch.isnan(activity.max_activation).sum())
        raise ValueError(f"activations must not be NaN, got NaN in {n_bad} units")
