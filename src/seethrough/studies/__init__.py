"""Studies: each answers one question with rows, curves and their provenance.

A study is a module with a dataclass ``Parameters`` and a function ``run(parameters, store)``. The
notebook of the same name shows its results.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from seethrough.parameters import ParameterError
from seethrough.unknown_name import unknown

__all__ = ["STUDIES", "StudySpec", "get"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study by name; its module is imported only when it is needed."""

    name: str
    """Name in params/, results/ and on the command line; that of its notebook, if it has one."""
    title: str
    """One line for lists."""
    module: str
    """Dotted name of the module with `Parameters` and `run`."""

    def load(self) -> Any:
        """Return the study's module."""
        return import_module(self.module)


STUDIES: dict[str, StudySpec] = {
    name: StudySpec(name=name, title=title, module=f"seethrough.studies.{name}")
    for name, title in (
        ("collapse_data_sets", "What do the models see, and how exact are the re-rendered images?"),
        (
            "collapse_dead_neurons",
            "How many units die while k falls from 500 to 50, and is MIG stable?",
        ),
        ("collapse_grid", "The same squeeze at every position and width of the sparse layer"),
        ("collapse_methods", "Does L1 collapse as much as Top-k, and does the schedule matter?"),
        ("collapse_extended", "Do dead units come back when training goes on?"),
        ("collapse_thresholds", "Does the order of conditions depend on who counts as dead?"),
        ("collapse_specialised", "How many units speak of one factor alone?"),
        ("collapse_quality", "Does the representation get worse, by which score and control?"),
        ("collapse_complexity", "Is it complexity that kills units, and what part of it?"),
        ("collapse_remedies", "Is the collapse intrinsic, or do known remedies remove it?"),
        (
            "impact_models_and_pruning",
            "What does pruning cost, and what does a short recovery give back?",
        ),
        ("impact_neurons", "Are the neurons of a pruned model easier to understand?"),
        ("impact_circuits", "Do sparse models have smaller circuits, and does that say anything?"),
        (
            "impact_layers_sae",
            "Are the autoencoder latents of a pruned model easier to understand?",
        ),
        ("impact_attribution", "Are the attribution maps of a pruned model more faithful?"),
        (
            "impact_full_scale",
            "Does the path to the paper's own model work, and what would it cost?",
        ),
        ("performance", "How much faster is a sparse training step than a dense one, here?"),
    )
}
"""Name -> study."""


def get(name: str) -> StudySpec:
    """Return a study; raise ParameterError with one sentence if there is none of this name."""
    if name not in STUDIES:
        raise ParameterError(f"study {unknown(name, STUDIES)}")
    return STUDIES[name]
