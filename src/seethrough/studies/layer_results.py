"""From the trained layers of one cell to rows and series of a study.

Rows are named `quantity/dataset/method/position/width`, series likewise. `first` and `last` are
epochs. Shares are fractions of the dictionary's units.
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
    died,
    frequency_below,
    maximum_below,
    never_active,
    revived,
    share,
)
from seethrough.results import Row, Series
from seethrough.studies.squeeze import TrainedCell
from seethrough.training.history import History

Rule = Callable[[UnitActivity], Bool[Tensor, " M"]]
FRACTION, NATS, GAP, UNITS = "fraction", "nats per image", "MIG", "units"

SHARES: tuple[tuple[str, str, Rule], ...] = (
    ("dead_share", "dead units (never active)", never_active),
    ("dead_share_by_relu", "dead by ReLU", dead_by_relu),
    ("dead_share_by_top_k", "dead by Top-k", dead_by_topk),
    ("always_on_share", "units active on every image", always_on),
)
"""Row name, quantity, rule: shares of units at one epoch."""

OF_LAYER: tuple[tuple[str, str, str], ...] = (
    ("active", "active units per image", UNITS),
    ("unexplained", "variance unexplained by the sparse code", FRACTION),
    ("mig_code", "MIG of the sparse code", GAP),
    ("mig_code_shuffled", "MIG of the sparse code, factors shuffled", GAP),
    ("best_information", "information of the best unit over the factor's entropy", FRACTION),
    ("best_information_shuffled", "the same, factors shuffled", FRACTION),
    ("specialised", "specialised units", UNITS),
    ("specialised_shuffled", "specialised units, factors shuffled", UNITS),
    ("reconstruction", "reconstruction error through the sparse code", NATS),
)
"""Name in the layer's history and in rows, quantity, unit."""

OF_VAE: tuple[tuple[str, str, str], ...] = (
    ("mig_mean", "MIG of the latent mean", GAP),
    ("mig_mean_shuffled", "MIG of the latent mean, factors shuffled", GAP),
    ("reconstruction_own", "reconstruction error, the VAE's own path", NATS),
)
"""Name in the VAE's history and in rows, quantity, unit."""


@dataclass(frozen=True, slots=True)
class LayerResults:
    """Measurements of one cell."""

    trained: TrainedCell
    """The cell's trained layers, one per seed."""

    @property
    def histories(self) -> list[History]:
        """Return the layers' measurements by epoch, one per seed."""
        return [layer.history for layer in self.trained.layers]

    @property
    def epochs(self) -> int:
        """Return all epochs, those after the squeeze included."""
        return self.histories[0].epochs

    @property
    def squeeze(self) -> int:
        """Return the epochs that the squeeze lasts."""
        return self.trained.layers[0].vae.config.epochs

    def row(self, name: str, quantity: str, unit: str, values: Sequence[float]) -> Row:
        """Return one row of this cell."""
        cell = self.trained.cell
        return Row(f"{name}/{cell.name}", quantity, cell.labels(), unit, tuple(values))

    def dead_rows(self) -> list[Row]:
        """Return the shares of dead units after the last epoch, by cause, and their ceiling."""
        rows = [self.share_row(name, text, rule) for name, text, rule in SHARES]
        cell = self.trained.cell
        if cell.sparsifier == "top_k":
            most = [ceiling(cell.width, round(layer.level)) for layer in self.trained.layers]
            rows.append(
                self.row("dead_ceiling", "largest dead share that k allows", FRACTION, most)
            )
        else:
            found = [layer.level for layer in self.trained.layers]
            rows.append(self.row("coefficient", "L1 coefficient", "1", found))
        return rows

    def threshold_rows(
        self, frequency_thresholds: Iterable[float], maximum_thresholds: Iterable[float]
    ) -> list[Row]:
        """Return the share of units called dead after the last epoch under every other rule."""
        rows = [
            self.share_row(
                f"dead_share_frequency_below_{threshold_tag(threshold)}",
                f"units active on less than {threshold:g} of images",
                partial(frequency_below, frequency=threshold),
            )
            for threshold in frequency_thresholds
        ]
        rows += [
            self.share_row(
                f"dead_share_max_below_{threshold_tag(threshold)}",
                f"units whose maximum is below {threshold:g} of the layer's scale",
                partial(maximum_below, fraction=threshold),
            )
            for threshold in maximum_thresholds
        ]
        return rows

    def score_rows(self) -> list[Row]:
        """Return every measurement of layer and VAE after the first and after the last epoch."""
        rows = []
        for name, quantity, unit, curves in self._curves():
            for when, index in (("first", 0), ("last", -1)):
                values = [measured[1][index] for measured in curves]
                rows.append(self.row(f"{name}_{when}", quantity, unit, values))
        return rows

    def late_rows(self) -> list[Row]:
        """Return what changed after the squeeze: dead then and at the end, revived, newly dead."""
        pairs = [
            (never_active(h.activity(self.squeeze)), never_active(h.activity(-1)))
            for h in self.histories
        ]
        text = "dead units after the squeeze"
        return [
            self.row("dead_share_squeezed", text, FRACTION, [share(b) for b, _ in pairs]),
            self.row("dead_change", "change of the dead share after the squeeze", FRACTION,
                     [share(after) - share(before) for before, after in pairs]),
            self.row("revived_share", "units dead after the squeeze and alive at the end", FRACTION,
                     [share(revived(*pair)) for pair in pairs]),
            self.row("died_share", "units alive after the squeeze and dead at the end", FRACTION,
                     [share(died(*pair)) for pair in pairs]),
        ]  # fmt: skip

    def share_row(self, name: str, quantity: str, rule: Rule) -> Row:
        """Return the share of units that a rule marks after the last epoch."""
        values = [share(rule(history.activity(-1))) for history in self.histories]
        return self.row(name, quantity, FRACTION, values)

    def dead_series(self) -> list[Series]:
        """Return shares of dead units, revivals, level and active count by epoch."""
        epochs = range(1, self.epochs + 1)
        activities = [[h.activity(epoch) for epoch in epochs] for h in self.histories]
        found = [
            self._series(
                name, text, FRACTION, epochs, [[share(rule(a)) for a in c] for c in activities]
            )
            for name, text, rule in SHARES
        ]
        found.append(self._series("revived", "units dead one epoch before", FRACTION, epochs, [
            [0.0, *(share(revived(never_active(a), never_active(b))) for a, b in pairwise(curve))]
            for curve in activities
        ]))  # fmt: skip
        quantities = {"level": ("the sparsifier's level (k, or lambda)", "1")}
        quantities |= {name: (text, unit) for name, text, unit in OF_LAYER[:2]}
        for name, (text, unit) in quantities.items():
            curves = [history.scalars[name] for history in self.histories]
            found.append(self._series(name, text, unit, epochs, curves))
        return found

    def score_series(self) -> list[Series]:
        """Return every score of layer and VAE over the epochs in which it was measured."""
        return [
            self._series(name, quantity, unit, curves[0][0], [numbers for _, numbers in curves])
            for name, quantity, unit, curves in self._curves()
            if name not in ("active", "unexplained")  # among the curves of every epoch
        ]

    def _curves(self) -> Iterable[tuple[str, str, str, list[tuple[list[int], list[float]]]]]:
        """Return name, quantity, unit and, per seed, epochs and values."""
        vaes = [layer.vae.history for layer in self.trained.layers]
        for table, histories in ((OF_LAYER, self.histories), (OF_VAE, vaes)):
            for name, quantity, unit in table:
                yield name, quantity, unit, [history.measured(name) for history in histories]

    def _series(
        self,
        name: str,
        quantity: str,
        unit: str,
        epochs: Iterable[int],
        curves: Sequence[Sequence[float]],
    ) -> Series:
        cell = self.trained.cell
        return Series(
            id=f"{name}/{cell.name}",
            quantity=quantity,
            cell=cell.labels(),
            unit=unit,
            x_name="epoch",
            x=tuple(float(epoch) for epoch in epochs),
            per_seed=tuple(tuple(curve) for curve in curves),
        )


def threshold_tag(threshold: float) -> str:
    """Return a threshold as it stands in row names: 0.001 as `1e-3`, 0.05 as `5e-2`."""
    mantissa, exponent = f"{threshold:e}".split("e")
    return f"{float(mantissa):g}e{int(exponent)}"
