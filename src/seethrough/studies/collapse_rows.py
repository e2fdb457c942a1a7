"""From trained runs to the rows and series of a collapse study.

Rows are named `quantity/position/width`, series likewise. `first` and `last` are epochs. Shares are
fractions of the dictionary's units.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from jaxtyping import Bool
from torch import Tensor

from seethrough.metrics.dead_units import (
    UnitActivity,
    always_on,
    ceiling,
    dead_by_relu,
    dead_by_topk,
    frequency_below,
    maximum_below,
    never_active,
    revived,
    share,
)
from seethrough.models.vae_sae import Branch
from seethrough.results import Row, Series
from seethrough.studies.trained_runs import TrainedRun

Rule = Callable[[UnitActivity], Bool[Tensor, " M"]]
FRACTION, NATS, GAP = "fraction", "nats per image", "MIG"

SHARES: tuple[tuple[str, str, Rule], ...] = (
    ("dead_share", "dead units (never active)", never_active),
    ("dead_share_by_relu", "dead by ReLU", dead_by_relu),
    ("dead_share_by_top_k", "dead by Top-k", dead_by_topk),
    ("always_on_share", "units active on every image", always_on),
)
"""Row name, quantity, rule: shares of units at one epoch."""

SCALARS: tuple[tuple[str, str, str, str], ...] = (
    ("active", "active/{branch}", "active units per image", "units"),
    ("unexplained", "unexplained/{branch}", "variance unexplained by the sparse code", FRACTION),
    ("mig_mean", "mig_mean", "MIG of the latent mean", GAP),
    ("mig_mean_shuffled", "mig_mean_shuffled", "MIG of the latent mean, factors shuffled", GAP),
    ("mig_code", "mig_code/{branch}", "MIG of the sparse code", GAP),
    ("mig_code_shuffled", "mig_code_shuffled/{branch}",
     "MIG of the sparse code, factors shuffled", GAP),
    ("best_information", "best_information/{branch}",
     "information of the best unit over the factor's entropy", FRACTION),
    ("best_information_shuffled", "best_information_shuffled/{branch}",
     "the same, factors shuffled", FRACTION),
    ("reconstruction_own", "reconstruction", "reconstruction error, the VAE's own path", NATS),
    ("reconstruction_bce", "reconstruction/{branch}",
     "reconstruction error through the sparse code", NATS),
)  # fmt: skip
"""Row name, key in the history, quantity, unit: numbers measured after every epoch."""


@dataclass(frozen=True, slots=True)
class LayerResults:
    """One sparse layer of several runs that differ in their seed alone."""

    runs: Sequence[TrainedRun]
    """One run per seed."""
    branch: Branch
    """The layer, part of every run."""

    def rows(
        self, frequency_thresholds: Iterable[float], maximum_thresholds: Iterable[float]
    ) -> list[Row]:
        """Return all scalar results, one value per seed."""
        rows = [self._share(name, text, rule) for name, text, rule in SHARES]
        rows += [
            self._share(
                f"dead_share_frequency_below_{threshold_tag(threshold)}",
                f"units active on less than {threshold:g} of images",
                partial(frequency_below, frequency=threshold),
            )
            for threshold in frequency_thresholds
        ]
        rows += [
            self._share(
                f"dead_share_max_below_{threshold_tag(threshold)}",
                f"units whose maximum is below {threshold:g} of the layer's scale",
                partial(maximum_below, fraction=threshold),
            )
            for threshold in maximum_thresholds
        ]
        k = self._k_last()
        most = [ceiling(self.branch.width, k)] * len(self.runs)
        rows.append(self._row("dead_ceiling", "largest dead share that k allows", FRACTION, most))
        rows.append(self._revived_late())
        for name, key, quantity, unit in SCALARS:
            for when, index in (("first", 0), ("last", -1)):
                values = [curve[index] for curve in self._curves(key)]
                rows.append(self._row(f"{name}_{when}", quantity, unit, values))
        return rows

    def series(self) -> list[Series]:
        """Return all curves over epochs, one per seed."""
        found = [
            self._series(name, text, FRACTION, [[share(rule(a)) for a in c] for c in self._all()])
            for name, text, rule in SHARES
        ]
        found.append(self._series("revived", "units dead one epoch before", FRACTION, [
            [0.0, *(_revived_share(before, after) for before, after in pairwise(curve))]
            for curve in self._all()
        ]))  # fmt: skip
        found.append(self._series("k", "units allowed to be active", "units", self._curves("k")))
        found += [
            self._series(name, quantity, unit, self._curves(key))
            for name, key, quantity, unit in SCALARS
        ]
        return found

    def _k_last(self) -> int:
        config = self.runs[0].config
        return config.k_at(config.epochs)

    def _curves(self, key: str) -> list[list[float]]:
        name = key.format(branch=self.branch.name)
        return [run.history.scalars[name] for run in self.runs]

    def _all(self) -> list[list[UnitActivity]]:
        epochs = range(1, self.runs[0].config.epochs + 1)
        return [[r.history.activity(self.branch.name, e) for e in epochs] for r in self.runs]

    def _share(self, name: str, quantity: str, rule: Rule) -> Row:
        last = [run.history.activity(self.branch.name, -1) for run in self.runs]
        return self._row(name, quantity, FRACTION, [share(rule(activity)) for activity in last])

    def _revived_late(self) -> Row:
        ago = min(10, self.runs[0].config.epochs - 1)
        quantity = f"units dead {ago} epochs before the end and alive at it"
        values = [_revived_share(curve[-1 - ago], curve[-1]) for curve in self._all()]
        return self._row("revived_last_10_epochs", quantity, FRACTION, values)

    def _row(self, name: str, quantity: str, unit: str, values: Sequence[float]) -> Row:
        cell: dict[str, str | int | float] = {
            "position": self.branch.position, "width": self.branch.width, "k": self._k_last()
        }  # fmt: skip
        return Row(f"{name}/{self.branch.name}", quantity, cell, unit, tuple(values))

    def _series(
        self, name: str, quantity: str, unit: str, curves: Sequence[Sequence[float]]
    ) -> Series:
        return Series(
            id=f"{name}/{self.branch.name}",
            quantity=quantity,
            cell={"position": self.branch.position, "width": self.branch.width},
            unit=unit,
            x_name="epoch",
            x=tuple(float(epoch) for epoch in range(1, self.runs[0].config.epochs + 1)),
            per_seed=tuple(tuple(curve) for curve in curves),
        )


def threshold_tag(threshold: float) -> str:
    """Return a threshold as it stands in row names: 0.001 as `1e-3`, 0.05 as `5e-2`."""
    mantissa, exponent = f"{threshold:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"


def _revived_share(before: UnitActivity, after: UnitActivity) -> float:
    return share(revived(never_active(before), never_active(after)))
