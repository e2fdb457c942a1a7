"""Study: how many units speak of one factor alone, with the squeeze and without it?

Claim COL-14 of {cite:t}`roy2026collapse` as reported by others: 479 specialised units on dSprites
against 86 on Shapes3D. A unit is specialised if it is alive, its best factor's information is at
least a tenth of the factor's entropy and at least twice the second factor's. Counts stand beside
those against shuffled factors, and after the first epoch beside those after the last.
"""

from dataclasses import dataclass

from seethrough.metrics.dead_units import never_active
from seethrough.metrics.specialised_units import SpecialisedUnits, specialised_units
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.layer_results import UNITS, LayerResults
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_specialised", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return dead, specialised and other units, by factor and by epoch."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    rows = [row for one in results for row in unit_rows(one)]
    series = [
        curve
        for one in results
        for curve in one.score_series()
        if curve.id.startswith(("specialised", "best_information"))
    ]
    return Findings(rows, series, training_seconds(trained))


def unit_rows(results: LayerResults) -> list[Row]:
    """Return the counts of one cell after the first and the last epoch, and its last factors."""
    layers = results.trained.layers
    last = [specialised_units(layer.output.code, layer.vae.heldout.classes) for layer in layers]
    dead = [float(never_active(h.activity(-1)).sum()) for h in results.histories]
    special = [float(units.n_specialised) for units in last]
    width = results.trained.cell.width
    other = [width - d - s for d, s in zip(dead, special, strict=True)]
    rows = [row for row in results.score_rows() if row.id.startswith("specialised")]
    rows += [
        results.row("dead_units", "dead units", UNITS, dead),
        results.row("other_units", "live units that are not specialised", UNITS, other),
        results.row("specialised_pooled", "specialised units, all seeds together", UNITS,
                    [sum(special)]),
        results.row("factors_covered", "factors with a specialised unit", "factors",
                    [float(units.factors_covered) for units in last]),
    ]  # fmt: skip
    names = layers[0].vae.dataset.factor_names
    rows += [_factor_row(results, last, number, name) for number, name in enumerate(names)]
    return rows


def _factor_row(results: LayerResults, last: list[SpecialisedUnits], number: int, name: str) -> Row:
    counts = [float(units.units_per_factor[number]) for units in last]
    return results.row(f"specialised_in_{name}", f"units specialised in {name}", UNITS, counts)
