"""Measure a sparse layer on held-out inputs: which units fire, and what the code is worth."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.autoencoders.sparse_autoencoder import (
    SparseAutoencoder,
    SparseOutput,
    unexplained_variance,
)
from seethrough.metrics.dead_units import unit_activity
from seethrough.metrics.information_scores import shuffled
from seethrough.metrics.specialised_units import specialised_units
from seethrough.training.initialise import generator_for

_BATCH = 512


@torch.no_grad()
def heldout_output(
    sae: SparseAutoencoder, inputs: Float[Tensor, "N D"], level: float
) -> SparseOutput:
    """Return codes and reconstruction of all inputs at one level, computed in batches."""
    parts = [sae(some, level) for some in inputs.split(_BATCH)]  # type: ignore[no-untyped-call]
    return SparseOutput(
        inputs,
        torch.cat([part.relu_code for part in parts]),
        torch.cat([part.code for part in parts]),
        torch.cat([part.reconstruction for part in parts]),
    )


def measure_units(output: SparseOutput) -> tuple[dict[str, float], dict[str, Tensor]]:
    """Return what the units did, by the names of `History`.

    Scalars: `active`, units active per input; `unexplained`, the fraction of variance unexplained
    (float64). Tensors: `units/relu_count`, `units/fired_count`, `units/max_activation`.
    """
    activity = unit_activity([(output.relu_code, output.code)])
    scalars = {
        "active": float((output.code > 0).sum(1).double().mean()),
        "unexplained": float(
            unexplained_variance(output.reconstruction.double(), output.inputs.double())
        ),
    }
    tensors = {
        "units/relu_count": activity.relu_count,
        "units/fired_count": activity.fired_count,
        "units/max_activation": activity.max_activation,
    }
    return scalars, tensors


def measure_information(
    code: Float[Tensor, "N M"], classes: Int64[Tensor, "N F"], seed: int
) -> dict[str, float]:
    """Return what units know of the factors, each number beside its shuffled control.

    MIG, the best unit's information (mean over factors), the count of specialised units, and the
    count of factors that have one.

    `seed` decides the shuffle of the factors, the same one after every epoch.
    """
    others = shuffled(classes, generator_for(seed, "shuffle"))
    scores: dict[str, float] = {}
    for suffix, factors in (("", classes), ("_shuffled", others)):
        units = specialised_units(code, factors)
        best, second = units.normalised.topk(2, dim=0).values
        scores[f"mig_code{suffix}"] = float((best - second).mean())
        scores[f"best_information{suffix}"] = float(best.mean())
        scores[f"specialised{suffix}"] = float(units.n_specialised)
        scores[f"factors_covered{suffix}"] = float(units.factors_covered)
    return scores


def is_scored(epoch: int, squeeze: int, total: int) -> bool:
    """Return whether codes are scored after an epoch: scores cost more than counting units.

    They are in the first epoch, every tenth of the squeeze, its last, every 25th after it, and in
    the last of all.
    """
    if epoch <= squeeze:
        return epoch in (1, squeeze) or epoch % 10 == 0
    return epoch == total or (epoch - squeeze) % 25 == 0
