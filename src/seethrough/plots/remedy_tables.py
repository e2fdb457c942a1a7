"""Tables of the remedies: the numbers behind the figures, and the verdict."""

import math

from IPython.display import Markdown

from seethrough.autoencoders.no_revival import NoRevival
from seethrough.autoencoders.top_k import TopK
from seethrough.plots.labels import DATASETS
from seethrough.plots.remedies import arms_of, at_width
from seethrough.plots.tables import (
    DASH,
    Runs,
    find_row,
    markdown_table,
    number,
    percent,
    points,
    rows_named,
    scale,
    significant,
    union,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.collapse_remedies import Arm
from seethrough.studies.remedies import BASELINE, REMEDIES, SMALL, TRIED
from seethrough.studies.remedy_verdict import JOINT, judge

FAULTS = {
    "unexplained": "variance",
    "mig_code": "MIG",
    "specialised_units": "specialised",
    "active": "k not kept",
}
"""What may be worse under a remedy, as tables write it."""
WORTHLESS = 10
"""Unexplained share, as a multiple of the variance, above which tables give no digits."""


def remedy_table(runs: Runs, dataset: str, width: int) -> Markdown:
    """Return what every remedy does on a data set, with what is worse than at the baseline."""
    header = ["remedy", "run", "dead", "unexplained", "MIG of the code", "specialised", "active",
              "worse in", "passes"]  # fmt: skip
    lines = []
    for arm in at_width(arms_of(*runs.values()), width):
        for name, result in runs.items():
            if arm.dataset == dataset and find_row(result, f"dead_share/{arm.name}"):
                label = REMEDIES[arm.remedy].label
                lines.append([label, name, *_numbers(result, arm), *_judgement(result, arm)])
    return markdown_table(header, lines)


def _numbers(result: StudyResult, arm: Arm) -> list[str]:
    names = ("dead_share", "unexplained", "mig_code", "specialised_units", "active")
    dead, unexplained, gap, special, active = (result.row(f"{n}/{arm.name}") for n in names)
    return [
        percent(dead),
        _unexplained(unexplained),
        number(gap, 3),
        number(special, 0),
        number(active, 0),
    ]


def _judgement(result: StudyResult, arm: Arm) -> list[str]:
    """Return what is worse and whether the remedy passes; dashes for the baseline and one seed."""
    if arm.remedy not in TRIED or result.row(f"dead_share/{arm.name}").n < 2:
        return [DASH, DASH]
    k = int(result.provenance.parameters["k_end"])
    rows = {row.id: row for row in result.rows}
    found = judge(rows, arm.dataset, arm.remedy, arm.width, k)
    faults = ", ".join(FAULTS[fault] for fault in found.faults)
    return [faults or "nothing", "yes" if found.passes else "no"]


def verdict_table(runs: Runs) -> Markdown:
    """Return how many remedies pass, by data set, jointly and by width, and the best one."""
    header = ["data set", "units", "run", "tried", "pass", "best of those not worse", "its dead",
              "difference from the baseline"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        for place, row in rows_named(result, "remedies_passing").items():
            scope, width = place.split("/")
            best = result.row(f"best_remedy_dead_share/{place}")
            dead = find_row(result, f"dead_share_change/{scope}/{best.cell['remedy']}/{width}")
            label = "both together" if scope == JOINT else DATASETS[scope]
            passing = DASH if math.isnan(row.mean) else f"{row.mean:.0f}"
            head = [label, width, f"{name}, {scale(result)}", str(row.cell["tried"])]
            lines.append([*head, passing, _label(best), percent(best, 1), points(dead)])
    return markdown_table(header, lines)


def weak_side_table(runs: Runs) -> Markdown:
    """Return what the best remedy of each data set does to the factors, as paired differences.

    The last two columns are told and not judged.
    """
    header = ["data set", "run", "remedy", "specialised units", "best unit's information",
              "linear probe"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        for place, best in rows_named(result, "best_remedy_dead_share").items():
            scope, width = place.split("/")
            where = f"{scope}/{best.cell['remedy']}/{width}"
            special, information, probe = (
                find_row(result, f"{quantity}_change/{where}")
                for quantity in ("specialised_units", "best_information", "probe")
            )
            if special is not None:
                head = [f"{DATASETS[scope]}, {width} units", name, _label(best)]
                lines.append([*head, number(special, 1), number(information, 3), points(probe)])
    return markdown_table(header, lines)


def _label(best: Row) -> str:
    remedy = str(best.cell["remedy"])
    return REMEDIES[remedy].label if remedy in REMEDIES else DASH


def small_table(runs: Runs, width: int) -> Markdown:
    """Return the baseline at one width beside the small dictionary, which has fewer units."""
    header = ["layer", "run", "dead", "unexplained", "MIG of the code", "best unit",
              "specialised", "factors with one", "linear probe"]  # fmt: skip
    lines = []
    for arm in arms_of(*runs.values()):
        if arm.remedy != SMALL and (arm.remedy, arm.width) != (BASELINE, width):
            continue
        for name, result in runs.items():
            if find_row(result, f"dead_share/{arm.name}") is not None:
                label = f"{DATASETS[arm.dataset]}, {arm.width} units"
                lines.append([label, name, *_kept(result, arm)])
    return markdown_table(header, lines)


def _kept(result: StudyResult, arm: Arm) -> list[str]:
    names = ("dead_share", "unexplained", "mig_code", "best_information", "specialised_units",
             "factors_covered", "probe")  # fmt: skip
    dead, unexplained, gap, best, special, covered, probe = (
        result.row(f"{name}/{arm.name}") for name in names
    )
    return [
        percent(dead),
        _unexplained(unexplained),
        number(gap, 2),
        number(best, 2),
        number(special, 0),
        number(covered, 1),
        percent(probe),
    ]


def foretold_table(runs: Runs, width: int) -> Markdown:
    """Return gamma, the dead share it foretells, and those of the untrained and trained layers.

    Remedies that change nothing before training stand with the baseline and are left out.
    """
    header = ["layer", "run", "gamma", "foretold", "untrained", "after training"]
    lines = []
    for arm in at_width(arms_of(*runs.values()), width):
        remedy = REMEDIES[arm.remedy]
        if remedy.revival != NoRevival() or remedy.sparsifier is not TopK:
            continue
        for name, result in runs.items():
            gamma = find_row(result, f"gamma/{arm.name}")
            if gamma is not None:
                label = f"{DATASETS[arm.dataset]}, {remedy.label}"
                lines.append([label, name, number(gamma, 2), *_foretold(result, arm)])
    return markdown_table(header, lines)


def _foretold(result: StudyResult, arm: Arm) -> list[str]:
    names = ("predicted_dead_share", "untrained_dead_share", "dead_share")
    return [percent(result.row(f"{name}/{arm.name}")) for name in names]


def _unexplained(row: Row) -> str:
    """Return an unexplained share; a layer that adds error has no number worth printing."""
    return f"above {WORTHLESS}" if row.mean > WORTHLESS else significant(row)


def cost_table(runs: Runs, width: int) -> Markdown:
    """Return the processor time of an epoch over the baseline's, one column per data set."""
    arms = [arm for arm in at_width(arms_of(*runs.values()), width) if arm.remedy in TRIED]
    datasets = union(arm.dataset for arm in arms)
    lines = [
        [REMEDIES[remedy].label, name]
        + [_cost(find_row(result, f"cost/{dataset}/{remedy}/{width}")) for dataset in datasets]
        for remedy in union(arm.remedy for arm in arms)
        for name, result in runs.items()
    ]
    return markdown_table(["remedy", "run", *(DATASETS[name] for name in datasets)], lines)


def _cost(row: Row | None) -> str:
    return DASH if row is None else f"{row.mean:.1f}"
