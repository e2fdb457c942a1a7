"""The L1 coefficient that leaves a wanted number of units active, found once and stored.

The search trains on one seed; the other seeds use its coefficient and report the count they reach.
"""

import json
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.l1_coefficient import Trial, find_coefficient
from seethrough.checked_json import pretty_json, write_atomically
from seethrough.studies.trained_layers import LayerConfig, SideLayerConfig, TrainedModels

TRIALS_FILE = "trials.json"
FIRST_GUESS = {"beside": 0.005, "latent": 0.005, "in_path": 0.1}
"""Where the search begins, by position; it costs trials alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """One search: which layer, and how many units are to stay active."""

    layer: LayerConfig
    """The layer, without extra epochs; its own coefficient is not used."""
    position: str
    """beside, in_path or latent."""
    target: float
    """Units active per held-out image after the squeeze, above 0."""
    tolerance: float = 2.0
    """How far from the target the count may end, above 0."""


def with_coefficient(layer: LayerConfig, coefficient: float) -> LayerConfig:
    """Return the same layer with another L1 coefficient.

    Raises ValueError if its sparsifier is not L1.
    """
    if isinstance(layer, SideLayerConfig):
        l1 = _replaced(layer.sae.sparsifier, coefficient)
        return replace(layer, sae=replace(layer.sae, sparsifier=l1))
    if layer.layer is None:
        raise ValueError("the run has no layer in its path, and so no coefficient")
    l1 = _replaced(layer.layer.sparsifier, coefficient)
    return replace(layer, layer=replace(layer.layer, sparsifier=l1))


def l1_trials(search: SearchConfig, models: TrainedModels) -> list[Trial]:
    """Return all trials of a search, from the store if it was made; the last one fits.

    Raises CoefficientSearchError if no coefficient gives the wanted count.
    """

    def build(search: SearchConfig, workspace: Path) -> None:
        measure = partial(_active, search.layer, models)
        first = FIRST_GUESS[search.position]
        trials = find_coefficient(measure, search.target, search.tolerance, first)
        text = pretty_json([asdict(trial) for trial in trials])
        write_atomically(workspace / TRIALS_FILE, text)

    folder = models.store.get(search, build)
    trials = json.loads((folder / TRIALS_FILE).read_text("utf-8"))
    return [Trial(**trial) for trial in trials]


def _active(layer: LayerConfig, models: TrainedModels, coefficient: float) -> float:
    """Return the count of active units that a coefficient leads to, by training with it."""
    return models.layer(with_coefficient(layer, coefficient)).history.scalars["active"][-1]


def _replaced(sparsifier: object, coefficient: float) -> L1:
    if not isinstance(sparsifier, L1):
        raise ValueError(f"the sparsifier is {sparsifier}, allowed is L1")
    return replace(sparsifier, coefficient=coefficient)
