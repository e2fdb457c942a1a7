"""From trained runs to the rows and series of a collapse study.

Rows are named `quantity/position/width`. `last` is the last epoch, `first` the first one. Shares
are fractions of the dictionary's units.
"""

from collections.abc import Callable, Sequence

import torch

from seethrough.metrics.dead_units import (
    UnitActivity,
    always_on,
    ceiling,
    dead_by_relu,
    dead_by_top_k,
    dead_share,
    frequency_below,
    maximum_below,
    never_active,
    revived,
)
from seethrough.models.vae_sae import Branch
from seethrough.results import Row, Series
from seethrough.studies.trained_runs import TrainedRun

Cell = dict[str, str | int | float]


def threshold_tag(threshold: float) -> str:
    """Return a threshold as it stands in row names: 0.001 -> `1e-3`, 0.05 -> `5e-2`."""
    mantissa, exponent = f"{threshold:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def branch_rows(
    runs: Sequence[TrainedRun],
    branch: Branch,
    frequency_thresholds: Sequence[float],
    maximum_thresholds: Sequence[float],
) -> list[Row]:
    """Return all scalar results of one sparse layer, one value per run (seed)."""
    epochs = runs[0].config.epochs
    k_last = runs[0].config.k_at(epochs)
    cell: Cell = {"position": branch.position, "width": branch.width, "k": k_last}
    last = [run.history.activity(branch.name, -1) for run in runs]

    def row(name: str, quantity: str, unit: str, values: Sequence[float]) -> Row:
        return Row(f"{name}/{branch.name}", quantity, cell, unit, tuple(values))

    def share(name: str, quantity: str, masks: Sequence[torch.Tensor]) -> Row:
        return row(name, quantity, "fraction", [dead_share(mask) for mask in masks])

    def scalar(name: str, key: str, quantity: str, unit: str, index: int) -> Row:
        return row(name, quantity, unit, [run.history.scalars[key][index] for run in runs])

    rows = [
        share("dead_share", "dead units (never active)", [never_active(a) for a in last]),
        share("dead_share_by_relu", "dead by ReLU", [dead_by_relu(a) for a in last]),
        share("dead_share_by_top_k", "dead by Top-k", [dead_by_top_k(a) for a in last]),
        share("always_on_share", "units active on every image", [always_on(a) for a in last]),
        row("dead_ceiling", "largest dead share that k active units allow", "fraction",
            [ceiling(branch.width, k_last)] * len(runs)),
        share("revived_last_10_epochs", "units dead ten epochs before the end and alive at it",
              [revived(run.history.activity(branch.name, -1 - min(10, epochs - 1)), activity)
               for run, activity in zip(runs, last, strict=True)]),
    ]  # fmt: skip
    for threshold in frequency_thresholds:
        rows.append(
            share(
                f"dead_share_frequency_below_{threshold_tag(threshold)}",
                f"units active on less than {threshold:g} of images",
                [frequency_below(activity, threshold) for activity in last],
            )
        )
    for threshold in maximum_thresholds:
        rows.append(
            share(
                f"dead_share_max_below_{threshold_tag(threshold)}",
                f"units whose maximum is below {threshold:g} of the layer's scale",
                [maximum_below(activity, threshold) for activity in last],
            )
        )
    for when, index in (("first", 0), ("last", -1)):
        nats = "nats per image"
        rows += [
            scalar(f"active_{when}", f"active/{branch.name}", "active units per image", "units",
                   index),
            scalar(f"unexplained_{when}", f"unexplained/{branch.name}",
                   "variance of the layer unexplained by the sparse code", "fraction", index),
            scalar(f"mig_mean_{when}", "mig_mean", "MIG of the latent mean", "MIG", index),
            scalar(f"mig_mean_shuffled_{when}", "mig_mean_shuffled",
                   "MIG of the latent mean, factors shuffled", "MIG", index),
            scalar(f"mig_code_{when}", f"mig_code/{branch.name}", "MIG of the sparse code", "MIG",
                   index),
            scalar(f"mig_code_shuffled_{when}", f"mig_code_shuffled/{branch.name}",
                   "MIG of the sparse code, factors shuffled", "MIG", index),
            scalar(f"best_information_{when}", f"best_information/{branch.name}",
                   "normalised information of the best unit, mean over factors", "fraction",
                   index),
            scalar(f"best_information_shuffled_{when}", f"best_information_shuffled/{branch.name}",
                   "the same, factors shuffled", "fraction", index),
            scalar(f"reconstruction_own_{when}", "reconstruction",
                   "reconstruction error of the VAE's own path", nats, index),
            scalar(f"reconstruction_bce_{when}", f"reconstruction/{branch.name}",
                   "reconstruction error through the sparse code", nats, index),
        ]  # fmt: skip
    return rows


def branch_series(runs: Sequence[TrainedRun], branch: Branch) -> list[Series]:
    """Return all curves over epochs of one sparse layer, one per run (seed)."""
    epochs = tuple(float(e) for e in range(1, runs[0].config.epochs + 1))
    cell: Cell = {"position": branch.position, "width": branch.width}
    activities = [
        [run.history.activity(branch.name, int(epoch)) for epoch in epochs] for run in runs
    ]

    def series(name: str, quantity: str, unit: str, curves: Sequence[Sequence[float]]) -> Series:
        return Series(
            f"{name}/{branch.name}", quantity, cell, unit, "epoch", epochs,
            tuple(tuple(curve) for curve in curves),
        )  # fmt: skip

    def shares(name: str, quantity: str, curves: Sequence[Sequence[torch.Tensor]]) -> Series:
        return series(name, quantity, "fraction", [[dead_share(m) for m in c] for c in curves])

    def scalar(name: str, key: str, quantity: str, unit: str) -> Series:
        return series(name, quantity, unit, [run.history.scalars[key] for run in runs])

    return [
        shares("dead_share", "dead units (never active)", _each(never_active, activities)),
        shares("dead_share_by_relu", "dead by ReLU", _each(dead_by_relu, activities)),
        shares("dead_share_by_top_k", "dead by Top-k", _each(dead_by_top_k, activities)),
        shares("revived", "units that were dead one epoch before",
               [[revived(before, after) for before, after in zip([c[0], *c], c, strict=False)]
                for c in activities]),
        scalar("k", "k", "units allowed to be active", "units"),
        scalar("active", f"active/{branch.name}", "active units per image", "units"),
        scalar("unexplained", f"unexplained/{branch.name}", "variance unexplained", "fraction"),
        scalar("mig_mean", "mig_mean", "MIG of the latent mean", "MIG"),
        scalar("mig_mean_shuffled", "mig_mean_shuffled", "the same, factors shuffled", "MIG"),
        scalar("mig_code", f"mig_code/{branch.name}", "MIG of the sparse code", "MIG"),
        scalar("mig_code_shuffled", f"mig_code_shuffled/{branch.name}",
               "the same, factors shuffled", "MIG"),
        scalar("best_information", f"best_information/{branch.name}",
               "normalised information of the best unit", "fraction"),
        scalar("best_information_shuffled", f"best_information_shuffled/{branch.name}",
               "the same, factors shuffled", "fraction"),
        scalar("reconstruction_own", "reconstruction", "the VAE's own path", "nats per image"),
        scalar("reconstruction_bce", f"reconstruction/{branch.name}", "through the sparse code",
               "nats per image"),
    ]  # fmt: skip


def _each(
    rule: Callable[[UnitActivity], torch.Tensor], activities: Sequence[Sequence[UnitActivity]]
) -> list[list[torch.Tensor]]:
    return [[rule(activity) for activity in curve] for curve in activities]
