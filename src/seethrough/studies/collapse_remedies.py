"""Study: which remedies keep units alive, and at what price?

Claim COL-16 of {cite:t}`roy2026collapse`: collapse is intrinsic to compression, not a fault of the
algorithm, of training length or of the threshold. If a layer that differs in its start or in its
input's preparation alone keeps its units alive at the same width, k and epochs, and is no worse,
then what died was a choice of design. Every remedy reads the same trained VAE, seed by seed.

Rows are named `quantity/dataset/remedy/width`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.top_k import TopK, top_k
from seethrough.autoencoders.train_sparse_autoencoder import begin, create
from seethrough.metrics.dead_units import (
    UnitActivity,
    dead_by_relu,
    dead_by_topk,
    never_active,
    share,
)
from seethrough.metrics.death_model import death_probability, mean_to_spread
from seethrough.metrics.linear_probe import linear_probe
from seethrough.metrics.train_test import halves
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.remedies import BASELINE, REMEDIES, SMALL, TRIED
from seethrough.studies.remedy_cost import cost_ratio
from seethrough.studies.remedy_verdict import change_rows, verdict_rows
from seethrough.studies.squeeze import SqueezeParameters, check_dataset
from seethrough.studies.study_run import Findings, stored_result
from seethrough.studies.trained_layers import SideLayerConfig, TrainedLayer
from seethrough.studies.training_jobs import train_layers
from seethrough.training.timing import stored_seconds

STUDY = "collapse_remedies"
POSITION = "beside"
FRACTION, UNITS = "fraction", "units"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(SqueezeParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    datasets: tuple[str, ...] = ("dsprites", "shapes3d")
    """Data sets, each once."""
    remedies: tuple[str, ...] = ("centred", "auxk", "centred_auxk")
    """Remedies beside the baseline, each once; see seethrough.studies.remedies."""
    widths: tuple[int, ...] = (500,)
    """Units of the dictionary, each once and at least k_end."""
    small_width: int = 64
    """Units of the small dictionary, at least k_end."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        SqueezeParameters.__post_init__(self)
        for name in ("datasets", "widths", "remedies"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}, allowed is one or more, each once")
        for dataset in self.datasets:
            check_dataset(dataset)
        for remedy in self.remedies:
            if remedy not in TRIED:
                raise ValueError(f"remedies has {remedy!r}, allowed are {', '.join(TRIED)}")
        self.layer_configs()

    def arms(self) -> list["Arm"]:
        """Return the baseline, every remedy at every width, and the small dictionary."""
        arms = []
        for dataset in self.datasets:
            arms += [
                Arm(dataset=dataset, remedy=remedy, width=width)
                for width in self.widths
                for remedy in (BASELINE, *self.remedies)
            ]
            arms.append(Arm(dataset=dataset, remedy=SMALL, width=self.small_width))
        return arms

    def layer_configs(self) -> list[SideLayerConfig]:
        """Return every layer to train, arm by arm, seed by seed within an arm."""
        return [self.arm_config(arm, seed) for arm in self.arms() for seed in self.seeds]

    def arm_config(self, arm: "Arm", seed: int) -> SideLayerConfig:
        """Return one layer's training run, beside the trained VAE of its data set and seed."""
        plain = SAEConfig(
            width=arm.width,
            sparsifier=TopK(start=self.k_start, end=self.k_end),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            seed=seed,
            scored=False,
            device=self.device,
            threads=self.threads,
        )
        return SideLayerConfig(
            vae=self.vae_config(arm.dataset, seed),
            position=POSITION,
            frozen=True,
            sae=REMEDIES[arm.remedy].applied(plain, self.k_start, self.k_end),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One remedy at one width on one data set, all seeds."""

    dataset: str
    """Name in `seethrough.data.catalogue`."""
    remedy: str
    """Name in `REMEDIES`."""
    width: int
    """Units of the dictionary."""

    @property
    def name(self) -> str:
        """Return `dataset/remedy/width`."""
        return f"{self.dataset}/{self.remedy}/{self.width}"

    def row(self, name: str, quantity: str, unit: str, values: Sequence[float]) -> Row:
        """Return one row of this arm."""
        cell: dict[str, str | int | float] = {
            "dataset": self.dataset, "remedy": self.remedy, "width": self.width
        }  # fmt: skip
        return Row(f"{name}/{self.name}", quantity, cell, unit, tuple(values))


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result(STUDY, parameters, store, measure)


def train_arms(
    parameters: Parameters, store: ArtifactStore | None = None
) -> dict[Arm, list[TrainedLayer]]:
    """Return the trained layers of every arm, one per seed, trained now if the store lacks them."""
    models = parameters.models(store or ArtifactStore())
    layers = train_layers(parameters.layer_configs(), models)
    # one object per VAE, so that its activations are computed once and not for every layer
    vaes = {layer.vae.config: layer.vae for layer in layers}
    shared = iter([replace(layer, vae=vaes[layer.vae.config]) for layer in layers])
    return {arm: [next(shared) for _ in parameters.seeds] for arm in parameters.arms()}


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every arm and return what died, what it cost, and the verdict."""
    trained = train_arms(parameters, store)
    rows = [row for arm, layers in trained.items() for row in arm_rows(arm, layers, parameters)]
    rows += cost_rows(trained, parameters)
    by_id = {row.id: row for row in rows}
    for width in parameters.widths:
        for dataset in parameters.datasets:
            found = change_rows(by_id, dataset, parameters.remedies, width, BASELINE)
            by_id |= {row.id: row for row in found}
        found = verdict_rows(
            by_id, parameters.datasets, parameters.remedies, width, parameters.k_end
        )
        by_id |= {row.id: row for row in found}
    layers = [layer for some in trained.values() for layer in some]
    folders = {layer.folder for layer in layers} | {layer.vae.folder for layer in layers}
    return Findings(list(by_id.values()), [], sum(stored_seconds(folder) for folder in folders))


MEASURED: tuple[tuple[str, str, str, str], ...] = (
    ("active", "active", "active units per image", UNITS),
    ("unexplained", "unexplained", "variance unexplained by the sparse code", FRACTION),
    ("mig_code", "mig_code", "MIG of the sparse code", "MIG"),
    ("mig_code_shuffled", "mig_code_shuffled", "MIG of the code, factors shuffled", "MIG"),
    ("best_information", "best_information",
     "information of the best unit over the factor's entropy", FRACTION),
    ("specialised_units", "specialised", "specialised units", UNITS),
    ("specialised_units_shuffled", "specialised_shuffled",
     "specialised units, factors shuffled", UNITS),
    ("factors_covered", "factors_covered", "factors with a specialised unit", "factors"),
)  # fmt: skip
"""Row name, key in the layer's history, quantity, unit."""

DEAD: tuple[tuple[str, str, Callable[[UnitActivity], Tensor]], ...] = (
    ("dead_share", "dead units (never active)", never_active),
    ("dead_share_by_relu", "dead by ReLU", dead_by_relu),
    ("dead_share_by_top_k", "dead by the sparsifier", dead_by_topk),
)
"""Row name, quantity, rule."""


def arm_rows(arm: Arm, layers: Sequence[TrainedLayer], parameters: Parameters) -> list[Row]:
    """Return what is measured on an arm's held-out codes, and what was predicted."""
    histories = [layer.history for layer in layers]
    rows = [
        arm.row(name, quantity, FRACTION, [share(rule(h.activity(-1))) for h in histories])
        for name, quantity, rule in DEAD
    ]
    rows += [
        arm.row(name, quantity, unit, [history.scalars[key][-1] for history in histories])
        for name, key, quantity, unit in MEASURED
    ]
    probes = [
        linear_probe(halves(layer.output.code, layer.vae.heldout.classes, seed))
        for layer, seed in zip(layers, parameters.seeds, strict=True)
    ]
    rows += [
        arm.row("probe", "accuracy of a linear probe on the code, mean over factors", FRACTION,
                [float(probe.accuracy.mean()) for probe in probes]),
        arm.row("probe_chance", "the same without the code", FRACTION,
                [float(probe.chance.mean()) for probe in probes]),
    ]  # fmt: skip
    return [*rows, *_predictions(arm, layers, parameters)]


def _predictions(arm: Arm, layers: Sequence[TrainedLayer], parameters: Parameters) -> list[Row]:
    """Return what the untrained layer's input foretells, and what the untrained layer shows."""
    gammas, predicted, untrained = [], [], []
    for layer in layers:
        assert layer.config is not None
        source = layer.vae.frozen(POSITION, layer.config.sae.seed)
        sae = untrained_layer(layer.config.sae, source.training)
        gammas.append(float(gamma_of(sae, source.training)))
        death = death_probability(
            gammas[-1],
            n_samples=len(source.held),  # those on which a unit is found dead
            k_per_sample=parameters.k_end,
            width=arm.width,
        )
        predicted.append(death.never_active)
        untrained.append(untrained_dead_share(sae, source.held, parameters.k_end))
    return [
        arm.row("gamma", "mean over spread of the untrained pre-activations", "ratio", gammas),
        arm.row("predicted_dead_share", "dead units predicted from gamma", FRACTION, predicted),
        arm.row("untrained_dead_share", "dead units of the untrained layer at the last k",
                FRACTION, untrained),
    ]  # fmt: skip


def untrained_layer(config: SAEConfig, inputs: Float[Tensor, "N D"]) -> PreparedAutoencoder:
    """Return the layer as training finds it."""
    sae = create(config, inputs.shape[1])
    begin(config, sae, inputs)
    return sae


@torch.no_grad()
def gamma_of(sae: PreparedAutoencoder, inputs: Float[Tensor, "N D"]) -> Tensor:
    """Return ||mean|| / ||standard deviation|| of a layer's pre-activations, 0-dim.

    For random directions that is, on average, the ratio of the prepared and centred inputs; for
    directions inside a subspace it is the ratio of the inputs' part in it.
    """
    return mean_to_spread(sae.pre_activations(inputs))


@torch.no_grad()
def untrained_dead_share(sae: PreparedAutoencoder, held: Float[Tensor, "N D"], k: int) -> float:
    """Return the share of units that a layer never uses at k, Top-k being its sparsifier."""
    return share(~(top_k(sae.relu_code(held), k) > 0).any(0))


def cost_rows(trained: dict[Arm, list[TrainedLayer]], parameters: Parameters) -> list[Row]:
    """Return the processor time of an epoch over the baseline's, for each remedy's first seed."""
    rows = []
    for arm, layers in trained.items():
        if arm.remedy in parameters.remedies:
            plain = trained[Arm(dataset=arm.dataset, remedy=BASELINE, width=arm.width)]
            text = "processor time of an epoch over the baseline's"
            rows.append(arm.row("cost", text, "ratio", [cost_ratio(layers[0], plain[0])]))
    return rows
