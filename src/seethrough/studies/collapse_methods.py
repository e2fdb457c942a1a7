"""Study: does L1 collapse as much as Top-k, and does the shape of the squeeze matter?

Claims COL-01 to COL-07 of {cite:t}`roy2026collapse`. Cells with a linear schedule cover all
positions and widths; the other schedules are run at the first position and width. The L1
coefficient is searched, cell by cell, so that k_end units stay active on average.
"""

from dataclasses import dataclass

from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.cells import Cell
from seethrough.studies.dead_steps import step_rows
from seethrough.studies.layer_results import UNITS, LayerResults
from seethrough.studies.squeeze import TrainedCell, train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    methods: tuple[str, ...] = ("top_k", "top_k_cosine", "top_k_constant", "l1")
    """Sparsifiers with their schedules, each once."""

    def cells(self) -> list[Cell]:
        """Return the grid, other schedules than the linear one at its first place and width."""
        first = (self.positions[:1], self.widths[:1])
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        return [
            cell
            for cell in GridParameters.cells(self)
            if cell.schedule == "linear" or ((cell.position,), (cell.width,)) == first
        ]

    def why_no_cell(self) -> str:
        """Return which lists exclude each other, where these parameters leave no cell at all."""
        if not GridParameters.cells(self):
            return GridParameters.why_no_cell(self)
        width = self.widths[0]
        if width not in self.path_widths:
            lacking = f"path_widths {self.path_widths} lacks {width}"
        else:
            lacking = f"path_methods {self.path_methods} has none of methods {self.methods}"
        return (
            "schedules other than the linear one are run at the first position and width alone, "
            f"here in_path and {width}, and {lacking}"
        )


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_methods", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return what died, ratios of the data sets, scores, searches, curves."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    rows = [row for one in results for row in (*one.dead_rows(), *one.score_rows())]
    rows += step_rows(trained)
    rows += [row for cell in trained for row in trial_rows(cell)]
    series = [curve for one in results for curve in (*one.dead_series(), *one.score_series())]
    return Findings(rows, series, training_seconds(trained))


def trial_rows(trained: TrainedCell) -> list[Row]:
    """Return how many trainings the search for the coefficient took, and where it began."""
    if not trained.trials:
        return []
    cell, n = trained.cell, float(len(trained.trials))
    one_seed = [
        ("search_trials", "trainings that the search for the coefficient took", "1", n),
        ("search_active", "active units where the search ended", UNITS, trained.trials[-1].active),
    ]
    return [
        Row(f"{name}/{cell.name}", quantity, cell.labels(), unit, (value,))
        for name, quantity, unit, value in one_seed
    ]
