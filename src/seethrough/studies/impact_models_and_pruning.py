"""Study: what does pruning cost, and how much of it does a short recovery give back?

F1 to F3 of {cite:t}`zhang2026impact`: DeiT-III B/16 keeps 96 % of its accuracy at 70 % sparsity by
Wanda, after two epochs of fine-tuning. Here with what the paper lacks: the accuracy before the
recovery, a dense model that takes the same steps, magnitude and random masks, and seeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from seethrough.models.accuracy import accuracy
from seethrough.pruning.apply_masks import density
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import (
    DENSE,
    TUNED,
    Condition,
    ImpactParameters,
    Material,
    material,
    model_file,
    models,
    seconds_of,
)
from seethrough.studies.study_run import Findings, stored_result

METHODS = ("wanda", "magnitude", "random")
PATTERNS = ("2:4", "4:8")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    methods: tuple[str, ...] = METHODS
    """Pruners at every sparsity, each once: wanda, magnitude, random."""
    recovered: tuple[str, ...] = ("wanda",)
    """Pruners whose models are also trained again, each once, all among `methods`."""
    patterns: tuple[str, ...] = ("2:4",)
    """Wanda's masks with at most N of M weights kept, each once: 2:4, 4:8."""
    recover_patterns: bool = False
    """Whether those are also trained again."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        ImpactParameters.__post_init__(self)
        for name, allowed in (
            ("methods", METHODS), ("recovered", self.methods), ("patterns", PATTERNS)
        ):  # fmt: skip
            values = getattr(self, name)
            if len(set(values)) < len(values) or not set(values) <= set(allowed):
                raise ValueError(f"{name} is {values}, allowed are {', '.join(allowed)}, each once")
        if not self.methods:
            raise ValueError("methods is empty, allowed is one or more")

    def conditions(self) -> list[Condition]:
        """Return all models: dense ones, and every mask before and after the recovery."""
        masked = [Condition(method=m, sparsity=s) for m in self.methods for s in self.sparsities]
        masked += [Condition(method="wanda", sparsity=0.5, structure=p) for p in self.patterns]
        found = [Condition(method=DENSE), Condition(method=TUNED, recovered=True)]
        for condition in masked:
            found.append(condition)
            by_pattern = condition.structure != "unstructured"
            if self.recover_patterns if by_pattern else condition.method in self.recovered:
                found.append(replace(condition, recovered=True))
        return found


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("impact_models_and_pruning", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Prune, train again, and return every model's accuracy, and what it keeps of the dense one's.

    Rows before the recovery are named `..._pruned`.
    """
    source, conditions = material(parameters), parameters.conditions()
    found: dict[str, tuple[Condition, dict[str, list[float]]]] = {}
    for condition, seed, model in models(parameters, conditions, store):
        name = condition.name + ("" if condition.is_dense or condition.recovered else "/pruned")
        values = found.setdefault(name, (condition, {}))[1]
        for quantity, value in numbers(model, source, parameters).items():
            values.setdefault(quantity, []).append(value)
        if condition.method != DENSE:
            size = model_file(parameters, condition, seed, store).stat().st_size
            values.setdefault("checkpoint", []).append(float(size))
    rows = [row for condition, values in found.values() for row in model_rows(condition, values)]
    rows += retention_rows(rows, conditions)
    return Findings(rows, [], seconds_of(parameters, conditions, store))


def numbers(model: nn.Module, source: Material, parameters: ImpactParameters) -> dict[str, float]:
    """Return one model's top-1 and top-5 accuracy and its density."""
    rows = source.heldout[: parameters.n_evaluation]
    right = accuracy(model, source.evaluation, rows, parameters.batch_size, parameters.device)
    return {"top_1": right.top_1.value, "top_5": right.top_5.value, "density": density(model)}


QUANTITIES = {
    "top_1": ("images whose class comes first", "fraction"),
    "top_5": ("images whose class is among the first five", "fraction"),
    "density": ("prunable weights that are not zero", "fraction"),
    "checkpoint": ("size of the stored model", "bytes"),
}
"""What is measured, in words, with its unit."""


def model_rows(condition: Condition, values: dict[str, list[float]]) -> list[Row]:
    """Return the rows of one model, one value per seed."""
    suffix = "" if condition.is_dense or condition.recovered else "_pruned"
    return [
        Row(
            f"{quantity}{suffix}/{condition.name}",
            QUANTITIES[quantity][0] + (", before the recovery" if suffix else ""),
            condition.cell() | {"recovered": str(condition.recovered).lower()},
            QUANTITIES[quantity][1],
            tuple(per_seed),
        )
        for quantity, per_seed in values.items()
    ]


def retention_rows(rows: Sequence[Row], conditions: Sequence[Condition]) -> list[Row]:
    """Return top-1 over that of the dense model, and over that of the dense one trained alike."""
    by_id = {row.id: row for row in rows}
    found = []
    for condition in conditions:
        if condition.is_dense or not condition.recovered:
            continue
        row = by_id[f"top_1/{condition.name}"]
        for name, control in (("retention", DENSE), ("retention_tuned", TUNED)):
            words = "the dense model" if control == DENSE else "the dense model trained alike"
            pairs = zip(row.per_seed, by_id[f"top_1/{control}"].per_seed, strict=True)
            found.append(
                Row(
                    f"{name}/{condition.name}",
                    f"top-1 accuracy over that of {words}",
                    row.cell,
                    "fraction",
                    tuple(own / dense if dense else float("nan") for own, dense in pairs),
                )
            )
    return found
