"""Study: does the representation get worse, by every score in use, and against which controls?

Claims COL-12 and COL-13 of {cite:t}`roy2026collapse`. Each score is computed for the latent mean
and for the sparse code, and again for two controls: the same numbers against shuffled factors, and
a code whose units keep their values but forget which image they belong to. The control without a
squeeze is a cell of its own (method top_k_open).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from jaxtyping import Float
from torch import Tensor

from seethrough.metrics.information_scores import shuffled
from seethrough.metrics.random_code import random_code
from seethrough.metrics.representation_scores import representation_scores
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.parallel import parallel_map
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result
from seethrough.studies.trained_layers import TrainedLayer
from seethrough.studies.trained_vae import TrainedVAE
from seethrough.training.device import thread_count
from seethrough.training.initialise import generator_for

Scores = dict[tuple[str, str], float]
"""(score, representation) -> number."""
REPRESENTATIONS = {
    "mean": "latent mean",
    "mean_shuffled": "latent mean, factors shuffled",
    "mean_random": "latent mean, images forgotten unit by unit",
    "code": "sparse code",
    "code_shuffled": "sparse code, factors shuffled",
    "code_random": "sparse code, images forgotten unit by unit",
}
"""What is scored, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    datasets: tuple[str, ...] = ("dsprites",)
    """Data sets, each once."""
    methods: tuple[str, ...] = ("top_k", "top_k_open")
    """Sparsifiers with their schedules, each once."""
    seeds: tuple[int, ...] = (0,)
    """One model per seed, at least one; three or more give an interval worth reading."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_quality", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return all scores of means and codes with controls, and their curves."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    scores = iter(all_scores([one for cell in trained for one in cell.layers], parameters.workers))
    rows = []
    for one in results:
        rows += one.score_rows()
        rows += representation_rows(one, [next(scores) for _ in one.trained.layers])
    series = [curve for one in results for curve in one.score_series()]
    return Findings(rows, series, training_seconds(trained))


def representation_rows(results: LayerResults, per_seed: Sequence[Scores]) -> list[Row]:
    """Return every score of one cell, named `score_representation`: true and as controls."""
    rows = []
    for score, representation in per_seed[0]:
        values = [scores[score, representation] for scores in per_seed]
        quantity = f"{score.replace('_', ' ')}, {REPRESENTATIONS[representation]}"
        rows.append(results.row(f"{score}_{representation}", quantity, "score", values))
    return rows


def all_scores(layers: Sequence[TrainedLayer], workers: int) -> list[Scores]:
    """Return the scores of every layer's latent mean and code; layers of one VAE share the mean."""
    vaes = {layer.vae.folder: layer.vae for layer in layers}
    models: list[TrainedVAE | TrainedLayer] = [*vaes.values(), *layers]
    found = parallel_map(_scores, models, workers)
    of_mean = dict(zip(vaes, found, strict=False))
    of_code = zip(layers, found[len(vaes) :], strict=True)
    return [of_mean[layer.vae.folder] | scores for layer, scores in of_code]


def _scores(model: TrainedVAE | TrainedLayer) -> Scores:
    """Return the scores of a VAE's latent mean, or of a layer's code, on held-out images."""
    if isinstance(model, TrainedLayer):
        return _controlled_scores("code", model.output.code, model.vae)
    return _controlled_scores("mean", model.final.mean, model)


def _controlled_scores(name: str, values: Float[Tensor, "N M"], vae: TrainedVAE) -> Scores:
    seed, classes = vae.config.seed, vae.heldout.classes
    others = shuffled(classes, generator_for(seed, "quality", "shuffle"))
    forgetful = random_code(values, generator_for(seed, "quality", name))
    found: Scores = {}
    with thread_count(vae.config.threads):
        for label, code, factors in (
            (name, values, classes),
            (f"{name}_shuffled", values, others),
            (f"{name}_random", forgetful, classes),
        ):
            scores = asdict(representation_scores(code, factors, seed=seed))
            found |= {(score, label): float(value) for score, value in scores.items()}
    return found
