"""Seconds that the pruning study takes at full scale on one device.

The unit is the forward pass of one image; a backward pass counts as two. What is not a pass of the
model (masks, metrics, training the autoencoder on stored activations) is left out, so the estimate
is a lower end of about the right size. Protocol: {cite:t}`zhang2026impact`, with this companion's
choices where it is silent.
"""

from dataclasses import dataclass, fields

BACKWARD = 2
"""Forward passes that a backward pass is worth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """Scale of the study; the defaults are the paper's, or ours where it gives none."""

    n_sparsities: int = 6
    """Sparsity levels of one pruner: 10, 30, 50, 70, 80 and 90 %."""
    n_dense: int = 2
    """Dense models: as released, and with the same recovery."""
    n_train: int = 1_281_167
    """Training images of ImageNet-1k."""
    n_validation: int = 50_000
    """Validation images of ImageNet-1k."""
    n_classes: int = 1000
    """Classes of levels 1 and 4."""
    n_calibration: int = 4096
    """Images of the pruner's statistics."""
    recovery_epochs: int = 2
    """Epochs of recovery after pruning."""
    n_mean_images: int = 10_000
    """Images whose mean activation replaces an ablated unit or a masked node."""
    n_ablated_sets: int = 6
    """Sets of units ablated per class image: the top 50 and 50 random ones of three blocks."""
    n_circuits: int = 100
    """Classes with a circuit of their own."""
    circuit_images: int = 2600
    """Training images of one circuit, half of its class."""
    circuit_epochs: int = 15
    """Epochs of training a circuit's mask."""
    n_attributed_per_class: int = 1
    """Images per class with an attribution map."""
    n_steps: int = 224
    """Steps of insertion, and of deletion."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) < 0:
                raise ValueError(
                    f"{field.name} is {getattr(self, field.name)}, allowed is at least 0"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelCost:
    """What one part of the study costs over all its models."""

    level: str
    """Name of the part."""
    passes: int
    """Forward passes of one image it is worth."""
    seconds: float
    """Time at the given rate."""


def cost_estimate(
    images_per_second: int | float, protocol: Protocol | None = None
) -> tuple[LevelCost, ...]:
    """Return the cost of every part of the study at a rate of forward passes, total last.

    `images_per_second` is what the device does in forward passes of this model, measured or
    stated. Without a protocol that of the paper is taken.

    >>> cost_estimate(1000.0)[-1].level
    'total'

    Raises:
        ValueError: a rate that is not above 0.
    """
    if not images_per_second > 0:
        raise ValueError(f"images_per_second is {images_per_second}, allowed is above 0")
    passes = _passes(protocol or Protocol())
    passes["total"] = sum(passes.values())
    return tuple(
        LevelCost(level=level, passes=n, seconds=n / images_per_second)
        for level, n in passes.items()
    )


def cost_table(costs: tuple[LevelCost, ...]) -> str:
    """Return the costs as lines of text: part, passes in millions, hours."""
    width = max(len(cost.level) for cost in costs)
    return "\n".join(
        f"{cost.level:{width}}  {cost.passes / 1e6:9.2f} M passes  {cost.seconds / 3600:8.2f} h"
        for cost in costs
    )


def _passes(protocol: Protocol) -> dict[str, int]:
    p, both = protocol, 1 + BACKWARD
    n_models = p.n_sparsities + p.n_dense
    # The dense model as released is not trained again; each other one is.
    n_recovered = n_models - min(p.n_dense, 1)
    n_attributed = p.n_classes * p.n_attributed_per_class
    return {
        "pruning": p.n_calibration,
        "recovery": n_recovered * p.recovery_epochs * p.n_train * both,
        "accuracy": (n_models + p.n_sparsities) * p.n_validation,
        "1 neurons": n_models * (p.n_mean_images + p.n_validation * (both + p.n_ablated_sets)),
        "2 representations": n_models * p.n_train,
        "3 circuits": n_models
        * (p.n_mean_images + p.n_circuits * p.circuit_images * p.circuit_epochs * both),
        "4 attribution": n_models * n_attributed * (both + 2 * (p.n_steps + 1)),
    }
