"""Study: is it the data set's complexity that kills units, and what part of it?

Claims COL-05, COL-06 and COL-15 of {cite:t}`roy2026collapse`: 1.8 times as many units die on
Shapes3D as on dSprites under Top-k, 2.2 times under L1, because the data are more complex. The two
data sets differ in colour, in the number of factors and in everything else. A ladder between them
changes one thing at a time, and a formula predicts death from the input's mean and spread alone.
"""

from dataclasses import dataclass

from seethrough.metrics.dead_units import share
from seethrough.metrics.death_model import (
    death_probability,
    mean_to_spread,
    participation_ratio,
)
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.cells import Cell
from seethrough.studies.dead_steps import step_rows
from seethrough.studies.layer_results import FRACTION, LayerResults
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    datasets: tuple[str, ...] = ("dsprites", "shapes3d_grey", "shapes3d")
    """Data sets, each once: the rungs of the ladder."""
    methods: tuple[str, ...] = ("top_k",)
    """Sparsifiers with their schedules, each once."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_complexity", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return what died, what the input predicts, ratios and steps."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    rows = [row for one in results for row in (*one.dead_rows(), *prediction_rows(one))]
    rows += step_rows(trained)
    series = [curve for one in results for curve in one.dead_series()[:1]]
    return Findings(rows, series, training_seconds(trained))


def prediction_rows(results: LayerResults) -> list[Row]:
    """Return shape of the layer's input after training, and the death that follows from it.

    The formulae hold for a layer at its random start; see seethrough.metrics.death_model.
    """
    layers, cell = results.trained.layers, results.trained.cell
    inputs = [layer.output.inputs for layer in layers]
    gammas = [float(mean_to_spread(x)) for x in inputs]
    deaths = [
        death_probability(
            gamma, n_samples=len(x), k_per_sample=_k(layer.level, cell), width=cell.width
        )
        for gamma, x, layer in zip(gammas, inputs, layers, strict=True)
    ]
    spread = [float(participation_ratio(x)) for x in inputs]
    used = [share((x > 0).any(0)) for x in inputs]
    return [
        results.row("gamma", "mean-to-spread ratio of the layer's input", "1", gammas),
        results.row("participation", "participation ratio of the input", "dimensions", spread),
        results.row("used_inputs", "input dimensions that are ever positive", FRACTION, used),
        results.row("predicted_dead", "dead units predicted from gamma", FRACTION,
                    [death.never_active for death in deaths]),
        results.row("predicted_dead_by_relu", "dead by ReLU predicted from gamma", FRACTION,
                    [death.by_relu for death in deaths]),
    ]  # fmt: skip


def _k(level: float, cell: Cell) -> int:
    """Return the active count for the formula: k, or the width for L1, which enforces none."""
    return round(level) if cell.sparsifier == "top_k" else cell.width
