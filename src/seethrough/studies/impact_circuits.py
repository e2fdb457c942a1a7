"""Study: do sparse models have smaller circuits, and does that say anything?

Level 3 of {cite:t}`zhang2026impact`: node masks are learned for binary tasks, and the circuits of a
dense and a pruned model compared. Claims C1 (2.5 times fewer edges) and C2 (more active nodes) rest
on two prices of a node, one per model. Here both models are masked at every price, cut to one loss,
and held against what density and node numbers alone would give. Controls: random circuits, dealt
labels, a model without training, the mask of one model on the weights of the other; and, where the
factors of the images are known, the circuit of a shape on colours that it never met.

Prices are given as for the paper's model and multiplied by its number of nodes over ours, so that
the price of all nodes together is the same.
"""

from seethrough.circuits.mask_sites import GRANULARITIES, node_layout
from seethrough.models.plain_vit import meta_model
from seethrough.results import Cell, Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.circuit_curves import Profile, profile, profile_curves
from seethrough.studies.circuit_images import Examples, heldout_examples, task_named
from seethrough.studies.circuit_measure import ModelCircuits
from seethrough.studies.circuit_parameters import DENSE_KAPPA, SPARSE_KAPPA, Parameters
from seethrough.studies.circuit_rows import Place, Table, circuit_rows, comparison_rows
from seethrough.studies.impact_models import TUNED, material, models, seconds_of
from seethrough.studies.study_run import Findings, stored_result

__all__ = ["Parameters", "measure", "run"]

PAPER_MODEL = "deit3_base_patch16_224"


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("impact_circuits", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return the circuits of all models with their controls, and the models' comparisons."""
    source, conditions = material(parameters), parameters.conditions()
    for name in parameters.tasks:
        task_named(name, source.training.class_names)  # refuses unknown ones before any training
    tables: dict[int, Table] = {seed: {} for seed in parameters.seeds}
    profiles: dict[int, dict[Place, Profile]] = {seed: {} for seed in parameters.seeds}
    dense: dict[int, ModelCircuits] = {}
    seconds = seconds_of(parameters, conditions, store)
    for condition, seed, model in models(parameters, conditions, store):
        one = ModelCircuits(model, condition, seed, source, parameters, store)
        if condition.method == TUNED:
            dense[seed] = one
        for name in parameters.tasks:
            tables[seed] |= task_circuits(one, dense[seed], name)
        for place, active in one.active.items():
            profiles[seed][place] = profile(model, active, one.layout)
        seconds += one.seconds
    by_seed = [tables[seed] for seed in parameters.seeds]
    rows = circuit_rows(by_seed, parameters.tasks)
    for sparse in conditions[1:]:
        for comparison in parameters.comparisons():
            rows += comparison_rows(
                by_seed, parameters.tasks, conditions[0].name, sparse.name, comparison
            )
    rows += site_rows(dense[parameters.seeds[0]], parameters)
    curves = profile_curves([profiles[seed] for seed in parameters.seeds], parameters.tasks)
    return Findings(rows, curves, seconds)


def task_circuits(one: ModelCircuits, dense: ModelCircuits, name: str) -> Table:
    """Return all circuits of one model, seed and task."""
    parameters, source = one.parameters, one.source
    task = task_named(name, source.training.class_names)
    heldout = heldout_examples(source, task, parameters.n_heldout_pairs, one.seed)
    found = dict(one.of_task(heldout))
    if one is not dense:
        found |= [
            one.with_mask_of(dense, DENSE_KAPPA, heldout),
            dense.with_mask_of(one, SPARSE_KAPPA, heldout),
        ]
    if one.seed in parameters.seeds[: parameters.n_control_seeds]:
        found |= controls(one, one is dense, heldout)
    return found


def controls(one: ModelCircuits, is_dense: bool, heldout: Examples) -> Table:
    """Return the controls with masks of their own."""
    found = dict([one.shuffled(heldout), *one.unseen_hues(heldout.pairs.task)])
    # Without training no weight is removed, so one control serves all models.
    return found | dict([one.untrained(heldout)]) if is_dense else found


def site_rows(one: ModelCircuits, parameters: Parameters) -> list[Row]:
    """Return hook points and nodes of the study's model and of the paper's, and the tasks."""
    paper = meta_model(PAPER_MODEL)
    rows = []
    for name, model in (("own", one.model), ("paper", paper)):
        for granularity in GRANULARITIES:
            layout = node_layout(model, granularity)
            cell: Cell = {"model": name, "granularity": granularity}
            rows.append(Row(f"all_nodes/{name}/{granularity}", "nodes of the model", cell, "nodes",
                            (float(layout.n_nodes),)))  # fmt: skip
        sites = float(len(layout.sites))
        rows.append(Row(f"hook_points/{name}", "sites of all blocks", {"model": name}, "1",
                        (sites,)))  # fmt: skip
    n_tasks = float(len(parameters.tasks))
    return [*rows, Row("tasks", "tasks that circuits were learned for", {}, "1", (n_tasks,))]
