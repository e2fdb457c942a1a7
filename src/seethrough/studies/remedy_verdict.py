"""Is collapse intrinsic to compression? The rule, fixed before any result was seen.

On a data set, a remedy passes if its mean dead share is below 5 % at the same width and epochs, if
it keeps the same k (at most a tenth more units active per held-out image), and if it is not worse
than the baseline: a quality is worse if the 95 % Student t interval of its paired difference over
seeds lies wholly on the worse side. Qualities are the variance unexplained, the MIG of the code and
the number of specialised units. "Intrinsic at this scale" is refuted on a data set if some remedy
passes, and on all data sets together if one and the same remedy passes on each. Several remedies
are tried, so the number that pass is part of the verdict. One seed has no interval: no verdict.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seethrough.results import Row

LIMIT = 0.05
"""Dead share that a remedy's mean must be below."""
MOST_ACTIVE = 1.1
"""Active units per image over k that count as the same k."""
WORSE = {"unexplained": 1, "mig_code": -1, "specialised_units": -1}
"""Quality -> the sign of a change for the worse."""
JOINT = "joint"
"""In place of the data set's name: all data sets together."""
TOLD = ("dead_share", *WORSE, "best_information", "probe")
"""Quantities whose paired differences against the baseline are rows of their own.

The best unit's information and the linear probe are told, not judged: they joined the rows after
the rule had been applied, and a rule is not changed by the results that it judged.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One remedy on one data set."""

    dead_share: tuple[float, ...]
    """Dead share of each seed."""
    faults: tuple[str, ...]
    """What is worse than at the baseline, or `active` if k is not kept; empty if nothing is."""

    @property
    def mean_dead(self) -> float:
        """Return the mean dead share."""
        return sum(self.dead_share) / len(self.dead_share)

    @property
    def passes(self) -> bool:
        """Return whether the remedy passes."""
        return self.mean_dead < LIMIT and not self.faults


def change_rows(
    rows: Mapping[str, Row], dataset: str, remedies: Sequence[str], width: int, baseline: str
) -> list[Row]:
    """Return, for each remedy, its paired differences against the baseline over seeds.

    Rows are named `<quantity>_change/dataset/remedy/width`.
    """
    found = []
    for name in remedies:
        for quantity in TOLD:
            row = rows[f"{quantity}/{dataset}/{name}/{width}"]
            plain = rows[f"{quantity}/{dataset}/{baseline}/{width}"]
            pairs = zip(row.per_seed, plain.per_seed, strict=True)
            found.append(
                Row(
                    id=f"{quantity}_change/{dataset}/{name}/{width}",
                    quantity=f"{row.quantity}, difference from the baseline",
                    cell=row.cell,
                    unit=row.unit,
                    per_seed=tuple(after - before for after, before in pairs),
                )
            )
    return found


def judge(rows: Mapping[str, Row], dataset: str, remedy: str, width: int, k: int) -> Judged:
    """Return what the rule says of one remedy on one data set.

    `rows` holds the remedy's rows, `change_rows` among them, by id.

    Raises:
        ValueError: rows of one seed.
        KeyError: a row that is not there.
    """
    where = f"{dataset}/{remedy}/{width}"
    dead = rows[f"dead_share/{where}"]
    if dead.n < 2:
        raise ValueError(f"a verdict needs at least 2 seeds, got {dead.n}")
    faults = [
        name for name, sign in WORSE.items() if _is_worse(rows[f"{name}_change/{where}"], sign)
    ]
    if rows[f"active/{where}"].mean > MOST_ACTIVE * k:
        faults.append("active")
    return Judged(dead_share=dead.per_seed, faults=tuple(faults))


def verdict_rows(
    rows: Mapping[str, Row], datasets: Sequence[str], remedies: Sequence[str], width: int, k: int
) -> list[Row]:
    """Return how many remedies pass, and the best one's dead share, by data set and jointly.

    Rows are named `remedies_passing/...` and `best_remedy_dead_share/...`, with `dataset/width` or
    `joint/width`. The best remedy is that of the lowest mean dead share among those that are not
    worse than the baseline, jointly that of the lowest mean on its worst data set; its name is in
    the row's cell. Its dead share was chosen as the lowest of several: its interval is optimistic.
    Both are NaN for one seed; the best one's share is NaN if every remedy is worse somewhere.
    """
    if not remedies:
        return []
    scopes: dict[str, tuple[str, ...]] = {dataset: (dataset,) for dataset in datasets}
    if len(datasets) > 1:
        scopes[JOINT] = tuple(datasets)
    return [
        row for scope, of in scopes.items() for row in _scope(rows, scope, of, remedies, width, k)
    ]


def _scope(
    rows: Mapping[str, Row],
    scope: str,
    datasets: Sequence[str],
    remedies: Sequence[str],
    width: int,
    k: int,
) -> list[Row]:
    cell: dict[str, str | int | float] = {
        "dataset": scope, "width": width, "tried": len(remedies), "remedy": "none"
    }  # fmt: skip
    n_passing = math.nan
    best: tuple[float, ...] = (math.nan,)
    if rows[f"dead_share/{datasets[0]}/{remedies[0]}/{width}"].n > 1:
        judged = {n: [judge(rows, d, n, width, k) for d in datasets] for n in remedies}
        n_passing = float(sum(all(one.passes for one in some) for some in judged.values()))
        worst = {
            name: max(some, key=lambda one: one.mean_dead)
            for name, some in judged.items()
            if not any(one.faults for one in some)
        }
        if worst:
            name = min(worst, key=lambda name: worst[name].mean_dead)
            best, cell = worst[name].dead_share, cell | {"remedy": name}
    passing = {name: value for name, value in cell.items() if name != "remedy"}
    return [
        Row(f"remedies_passing/{scope}/{width}", "remedies that pass", passing, "remedies",
            (n_passing,)),
        Row(f"best_remedy_dead_share/{scope}/{width}",
            "dead units under the best remedy that is not worse", cell, "fraction", best),
    ]  # fmt: skip


def _is_worse(change: Row, sign: int) -> bool:
    """Return whether the interval of a change lies wholly on the worse side of 0."""
    assert change.low is not None
    assert change.high is not None
    return change.low > 0 if sign > 0 else change.high < 0
