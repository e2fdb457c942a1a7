"""Study: does the order of the conditions depend on who counts as dead?

Claim COL-10 of {cite:t}`roy2026collapse`: the pattern holds for every definition of dead tried. The
definitions are not known to us, so all in use are tried. Under each, the cells are ranked by their
mean dead share, and the ranking is compared with that of the plain definition (never active) by
Kendall's tau-b {cite:p}`kendall1945treatment`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result

PLAIN = "dead_share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_thresholds", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return its dead share under every rule, and how rules rank the cells."""
    trained = train_cells(parameters, parameters.cells(), store)
    thresholds = (parameters.frequency_thresholds, parameters.maximum_thresholds)
    by_cell = [
        [*LayerResults(cell).dead_rows()[:1], *LayerResults(cell).threshold_rows(*thresholds)]
        for cell in trained
    ]
    rows = [row for some in by_cell for row in some]
    rows += ranking_rows(by_cell)
    return Findings(rows, [], training_seconds(trained))


def ranking_rows(by_cell: Sequence[Sequence[Row]]) -> list[Row]:
    """Return, for each rule, Kendall's tau-b between its ranking of the cells and the plain one's.

    One value per seed: each seed ranks the cells by its own dead shares. `by_cell` holds the same
    rules in the same order for every cell, the plain one first. A ranking of equal shares alone has
    no tau: NaN.
    """
    from scipy.stats import kendalltau  # type: ignore[import-untyped]  # takes a second to import

    found = []
    for rule in zip(*by_cell, strict=True):
        name = rule[0].id.split("/")[0]
        plain = [some[0].per_seed for some in by_cell]
        taus = [
            float(kendalltau([v[seed] for v in plain], [row.per_seed[seed] for row in rule])[0])
            for seed in range(rule[0].n)
        ]
        quantity = f"rank correlation with the plain rule over {len(by_cell)} cells"
        found.append(Row(f"tau/{name}", quantity, {"rule": name}, "1", tuple(taus)))
    return found
