"""Study: are the attribution maps of a pruned model more faithful?

Level 4 of {cite:t}`zhang2026impact`, claim C5: insertion and deletion gain a little at light
sparsity and are flat after. Here with what the paper lacks: a random order as the floor, four other
methods, both rules for LayerScale with the relevance they lose or make, areas divided by the clean
probability (a pruned model is less sure of itself), both references, accuracy beside them, and,
where the object's place is known, how much relevance falls on it.

Rows hold the mean over images, one value per seed, and beside it the ends of the 95 % bootstrap
interval over images (`..._low`, `..._high`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.conservation_error import conservation_error
from seethrough.attribution.insertion_deletion import (
    InsertionDeletion,
    Reference,
    Unit,
    insertion_deletion,
)
from seethrough.attribution.plain_transformer import blocks_from, patch_grid
from seethrough.attribution.relevance_on_object import relevance_on_object
from seethrough.data.photographs import PHOTOGRAPHS
from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.models.accuracy import Proportion, accuracy
from seethrough.neurons.bootstrap import bootstrap_mean
from seethrough.neurons.equivalence import equivalence_test
from seethrough.neurons.trend import trend_test
from seethrough.results import Cell, Row, Series, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import attribution_methods
from seethrough.studies.attribution_methods import METHODS
from seethrough.studies.attribution_photographs import explained_photographs, photograph_inputs
from seethrough.studies.impact_models import (
    DENSE,
    TUNED,
    Condition,
    ImpactParameters,
    Material,
    material,
    models,
    seconds_of,
)
from seethrough.studies.study_run import Findings, stored_result

UNITS = ("patch", "pixel")
REFERENCES = ("zero", "blur")
SCORES = {
    "insertion": "area under insertion",
    "deletion": "area under deletion",
    "insertion_normalised": "area under insertion over the clean probability",
    "deletion_normalised": "area under deletion over the clean probability",
}
"""What is measured of the curves, in words."""
MARGIN = 0.02
"""Largest change of an area that counts as none. Fixed before any run."""
VERDICTS = {"equivalent": 1.0, "undecided": 0.0, "different": -1.0}
TRENDS = {"rises": 1.0, "no trend": 0.0, "falls": -1.0}
PerImage = dict[tuple[str, ...], Float[Tensor, " N"]]
"""(score, method, unit, reference), or (quantity, method), -> one value per image."""
NamedValue = tuple[str, Cell, str, float]
"""Quantity in words, cell, unit and value of a row for one seed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    methods: tuple[str, ...] = tuple(METHODS)
    """Ways to rank the patches, each once."""
    units: tuple[str, ...] = ("patch",)
    """What is inserted and deleted, each once: patch, pixel."""
    references: tuple[str, ...] = ("zero",)
    """What stands for nothing, each once: zero (in the model's input), blur."""
    n_images: int = 3
    """Held-out images to explain, the first of the random order, at most `n_evaluation`."""
    n_steps: int = 8
    """Steps of a curve."""
    n_gradient_steps: int = 4
    """Points of integrated gradients."""
    start_block: int = 0
    """First block that transformer attribution and rollout read."""
    photographs: tuple[str, ...] = ()
    """Photographs of scikit-image to explain too, first seed, each once (see `PHOTOGRAPHS`)."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        ImpactParameters.__post_init__(self)
        for name, allowed in (
            ("methods", tuple(METHODS)), ("units", UNITS), ("references", REFERENCES)
        ):  # fmt: skip
            values = getattr(self, name)
            if not values or len(set(values)) < len(values) or not set(values) <= set(allowed):
                raise ValueError(f"{name} is {values}, allowed are {', '.join(allowed)}, each once")
        for name in ("n_images", "n_steps", "n_gradient_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is at least 1")
        if self.n_images > self.n_evaluation:
            raise ValueError(
                f"n_images is {self.n_images}, allowed is at most {self.n_evaluation}, n_evaluation"
            )
        named = self.photographs
        if len(set(named)) < len(named) or not set(named) <= set(PHOTOGRAPHS):
            raise ValueError(
                f"photographs is {named}, allowed are {', '.join(PHOTOGRAPHS)}, each once"
            )
        if self.start_block < 0:
            raise ValueError(f"start_block is {self.start_block}, allowed is at least 0")


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model's maps are worth."""

    condition: Condition
    """The model."""
    per_image: PerImage
    """Areas and shares, image by image."""
    curves: dict[tuple[str, ...], Float[Tensor, " points"]]
    """(insertion or deletion, method, unit, reference) -> mean curve."""
    fractions: dict[str, Float[Tensor, " points"]]
    """Unit -> share of cells changed at each point."""
    right: Proportion
    """Images of `n_evaluation` whose class comes first."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("impact_attribution", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return the areas of all methods on all models with intervals, and how they move.

    Raises:
        ValueError: more steps than patches, or a first block, that the model does not have.
    """
    source, conditions = material(parameters), parameters.conditions()
    _require_fitting(parameters, source.classifier.model)
    found: dict[int, list[Measured]] = {seed: [] for seed in parameters.seeds}
    shown_rows: list[Row] = []
    shown: list[Series] = []
    for condition, seed, model in models(parameters, conditions, store):
        # The dense model too for every seed: pairs of models share the seed's random order.
        found[seed].append(measure_model(model, condition, source, parameters, seed))
        if parameters.photographs and seed == parameters.seeds[0]:
            rows, maps = photographs_of(model, condition, source, parameters, seed)
            shown_rows += rows
            shown += maps
    by_seed = [rows_of(found[seed], seed) for seed in parameters.seeds]
    rows = [
        Row(name, quantity, cell, unit, tuple(some[name][3] for some in by_seed))
        for name, (quantity, cell, unit, _) in by_seed[0].items()
    ]
    curves = curves_of([found[seed] for seed in parameters.seeds])
    seconds = seconds_of(parameters, conditions, store)
    return Findings(rows + shown_rows, curves + shown, seconds)


def photographs_of(
    model: nn.Module, condition: Condition, source: Material, parameters: Parameters, seed: int
) -> tuple[list[Row], list[Series]]:
    """Return what a model sees in the parameters' photographs (see `explained_photographs`)."""
    return explained_photographs(
        model,
        condition,
        parameters.photographs,
        photograph_inputs(parameters.photographs, source.classifier).to(parameters.device),
        source.evaluation.class_names,
        parameters.methods,
        partial(maps_of, parameters=parameters, seed=seed),
    )


def _require_fitting(parameters: Parameters, model: nn.Module) -> None:
    """Refuse what only the model can tell, before any is trained again."""
    blocks_from(model, parameters.start_block)
    rows, columns = patch_grid(model)
    if "patch" in parameters.units and parameters.n_steps > rows * columns:
        raise ValueError(
            f"n_steps is {parameters.n_steps}, allowed is at most {rows * columns}, the patches of "
            f"{parameters.model}"
        )


def measure_model(
    model: nn.Module, condition: Condition, source: Material, parameters: Parameters, seed: int
) -> Measured:
    """Return areas, curves, conservation errors and relevance on the object for one model.

    The class explained is the one predicted on the whole image.
    """
    rows = source.heldout[: parameters.n_images]
    images = source.evaluation.images(rows).to(parameters.device)
    with torch.no_grad():
        logits = torch.cat([model(some) for some in images.split(parameters.batch_size)])  # type: ignore[no-untyped-call]
    targets = logits.argmax(dim=1)
    per_image: PerImage = {("clean_probability", ""): probability(logits, targets)}
    found: dict[tuple[str, ...], InsertionDeletion] = {}
    for method in parameters.methods:
        maps = maps_of(method, model, images, targets, parameters, seed)
        if isinstance(source.evaluation, Shapes3DClasses):
            masks = source.evaluation.object_masks(rows).to(maps.device)
            place = relevance_on_object(maps, masks)
            per_image["share_on_object", method] = place.share.cpu()
            per_image["object_area", ""] = place.area.cpu()
            per_image["lift_on_object", method] = place.lift.cpu()
        for unit in parameters.units:
            for reference in parameters.references:
                cells, blank = cast(Unit, unit), cast(Reference, reference)
                one = insertion_deletion(
                    model, images, maps, targets, cells, parameters.n_steps, blank,
                    parameters.batch_size,
                )  # fmt: skip
                found[method, unit, reference] = one
                for score, values in areas(one).items():
                    per_image[score, method, unit, reference] = values.cpu()
    per_image |= conservation_errors(model, images, targets, parameters.batch_size)
    curves = {
        (kind, *place): getattr(one, kind).double().mean(dim=0).cpu()
        for place, one in found.items()
        for kind in ("insertion", "deletion")
    }
    fractions = {place[1]: one.fractions.cpu() for place, one in found.items()}
    index = source.heldout[: parameters.n_evaluation]
    right = accuracy(model, source.evaluation, index, parameters.batch_size, parameters.device)
    return Measured(condition, per_image, curves, fractions, right.top_1)


def conservation_errors(
    model: nn.Module, images: Float[Tensor, "N 3 H W"], targets: Int64[Tensor, " N"], size: int
) -> PerImage:
    """Return the conservation error of both LayerScale rules, `size` images at a time."""
    found = [
        conservation_error(model, images[first : first + size], targets[first : first + size])
        for first in range(0, len(images), size)
    ]
    return {
        ("conservation_error", rule): torch.cat(
            [lost_or_made(getattr(e, rule)) for e in found]
        ).cpu()
        for rule in ("identity", "inverse_gamma")
    }


def lost_or_made(errors: Float[Tensor, "N L"]) -> Float[Tensor, " N"]:
    """Return the absolute errors of all blocks summed, so that loss and gain do not cancel.

    NaN where the error of a block left the range of the dtype.

    >>> lost_or_made(torch.tensor([[-0.5, 0.5], [3.0, float("inf")]])).tolist()
    [1.0, nan]
    """
    total = errors.abs().sum(dim=1)
    return torch.where(total.isfinite(), total, torch.nan)


def maps_of(
    method: str,
    model: nn.Module,
    images: Float[Tensor, "N 3 H W"],
    targets: Int64[Tensor, " N"],
    parameters: Parameters,
    seed: int,
) -> Float[Tensor, "N h w"]:
    """Return the maps of one method by patch, as the study's parameters have it."""
    return attribution_methods.maps_of(
        method,
        model,
        images,
        targets,
        start_block=parameters.start_block,
        n_gradient_steps=parameters.n_gradient_steps,
        batch_size=parameters.batch_size,
        seed=seed,
    )


def areas(curves: InsertionDeletion) -> dict[str, Float[Tensor, " N"]]:
    """Return the four areas of every image."""
    return {
        "insertion": curves.insertion_auc,
        "deletion": curves.deletion_auc,
        "insertion_normalised": curves.normalised_insertion_auc,
        "deletion_normalised": curves.normalised_deletion_auc,
    }


def probability(logits: Float[Tensor, "N C"], targets: Int64[Tensor, " N"]) -> Float[Tensor, " N"]:
    """Return the softmax probability of each image's target."""
    return logits.softmax(dim=1).gather(1, targets[:, None])[:, 0].cpu()


def rows_of(measured: Sequence[Measured], seed: int) -> dict[str, NamedValue]:
    """Return every row's value for one seed, by the row's id."""
    found: dict[str, NamedValue] = {}
    for one in measured:
        for place, values in one.per_image.items():
            interval = bootstrap_mean(values, seed=seed)
            for suffix, what, value in (
                ("", "", interval.mean),
                ("_low", ", low end over images", interval.low),
                ("_high", ", high end over images", interval.high),
            ):
                name = _row_name(place, suffix, one.condition.name)
                found[name] = (_words(place) + what, _cell(place, one), _unit(place), value)
        found |= _accuracy_rows(one)
    by_name = {one.condition.name: one for one in measured}
    for one in measured:
        controls = {DENSE: (), TUNED: (DENSE,)}.get(one.condition.name, (DENSE, TUNED))
        for control in controls:
            found |= _change_rows(by_name[control], one, seed)
    return found | _trend_rows(measured, seed)


def _accuracy_rows(one: Measured) -> dict[str, NamedValue]:
    """Return how many images a model gets right, with the ends of Wilson's interval."""
    what = "images whose class comes first"
    return {
        f"accuracy{suffix}/{one.condition.name}": (
            what + words, one.condition.cell(), "fraction", value
        )
        for suffix, words, value in (
            ("", "", one.right.value),
            ("_low", ", low end over images", one.right.low),
            ("_high", ", high end over images", one.right.high),
        )
    }  # fmt: skip


def _change_rows(control: Measured, one: Measured, seed: int) -> dict[str, NamedValue]:
    """Return the change of every area against a dense model, with the test of equivalence."""
    found: dict[str, NamedValue] = {}
    against = control.condition.name
    for place, values in one.per_image.items():
        if place[0] not in SCORES:
            continue
        test = equivalence_test(control.per_image[place], values, margin=MARGIN, seed=seed)
        cell = _cell(place, one) | {"against": against}
        for name, what, unit, value in (
            ("change", f"change against {against}: ", _unit(place), test.difference.mean),
            ("change_low", f"low end (90 %) of the change against {against}: ", _unit(place),
             test.difference.low),
            ("change_high", f"high end (90 %) of the change against {against}: ", _unit(place),
             test.difference.high),
            ("equivalent", "1 equivalent, 0 undecided, -1 different: ", "verdict",
             VERDICTS[test.verdict]),
        ):  # fmt: skip
            row = _row_name(place, f"_{name}", f"{one.condition.name}/{against}")
            found[row] = (what + _words(place), cell, unit, value)
    return found


def _trend_rows(measured: Sequence[Measured], seed: int) -> dict[str, NamedValue]:
    """Return the trend of each area over the models that took the recovery's steps."""
    alike = [one for one in measured if one.condition.recovered]
    if len(alike) < 3:
        return {}
    found: dict[str, NamedValue] = {}
    for place in alike[0].per_image:
        if place[0] not in SCORES:
            continue
        values = torch.stack([one.per_image[place] for one in alike])
        test = trend_test([one.condition.sparsity for one in alike], values, seed=seed)
        cell: Cell = {"method": place[1], "unit": place[2], "reference": place[3]}
        for name, what, value in (
            ("trend", "rank correlation with sparsity: ", test.rank.mean),
            ("trend_low", "low end of the rank correlation with sparsity: ", test.rank.low),
            ("trend_high", "high end of the rank correlation with sparsity: ", test.rank.high),
            ("trend_verdict", "1 rises, 0 no trend, -1 falls: ", TRENDS[test.verdict]),
        ):
            row = "/".join((f"{place[0]}_{name}", *place[1:]))
            found[row] = (what + _words(place), cell, "1", value)
    return found


def curves_of(by_seed: Sequence[Sequence[Measured]]) -> list[Series]:
    """Return the mean curves of insertion and deletion, seed by seed."""
    found = []
    for position, one in enumerate(by_seed[0]):
        for place in one.curves:
            kind, method, unit, reference = place
            curves = [seed[position].curves[place].tolist() for seed in by_seed]
            found.append(
                Series(
                    f"{kind}/{method}/{unit}/{reference}/{one.condition.name}",
                    f"probability of the predicted class, {kind}, {METHODS[method]}",
                    _cell(place, one),
                    "fraction",
                    "share of cells changed",
                    tuple(one.fractions[unit].tolist()),
                    tuple(tuple(curve) for curve in curves),
                )
            )
    return found


OTHERS = {
    "clean_probability": ("probability of the predicted class", "fraction"),
    "share_on_object": ("positive relevance on the object", "fraction"),
    "object_area": ("share of the image that the object covers", "fraction"),
    "lift_on_object": ("relevance on the object over the object's share of the image", "1"),
    "conservation_error": (
        "relevance lost or made over what enters, summed over blocks without its sign",
        "1",
    ),
}
"""What is measured besides the curves, in words, with its unit."""


def _row_name(place: tuple[str, ...], suffix: str, condition: str) -> str:
    return "/".join(part for part in (place[0] + suffix, *place[1:], condition) if part)


def _words(place: tuple[str, ...]) -> str:
    what = SCORES.get(place[0]) or OTHERS[place[0]][0]
    return f"{what}, {METHODS.get(place[1], place[1])}" if place[1] else what


def _unit(place: tuple[str, ...]) -> str:
    return "fraction" if place[0] in SCORES else OTHERS[place[0]][1]


def _cell(place: tuple[str, ...], one: Measured) -> Cell:
    cell: Cell = one.condition.cell()
    names = ("method", "unit", "reference")
    return cell | {name: value for name, value in zip(names, place[1:], strict=False) if value}
