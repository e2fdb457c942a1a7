"""The models that the pruning studies compare: dense, dense with the recovery's steps, pruned.

One interface over three tiers: a model that comes with the package, on the rendered images it was
trained for; any plain vision transformer of timm with local or published weights, on pictures in
class folders or listed in a CSV; and the paper's own (`deit3_base_patch16_224.fb_in1k` and
ImageNet-1k), which is the second with other names.

Every model is an artifact: a sparse checkpoint whose kept weights have half precision. Those that
come with the package are read from it, all others from the store, made on first use.
"""

import copy
import functools
import hashlib
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor, nn
from tqdm import tqdm

from seethrough.canonical import canonical_json
from seethrough.data.image_csv import ImageCsv
from seethrough.data.image_folder import ImageFolder, imagenet_class_index
from seethrough.data.labelled_images import LabelledImages
from seethrough.data.shapes3d_classes import split
from seethrough.models.embedded import MODELS, WEIGHTS, images_of, load_embedded, weights_file
from seethrough.models.pretrained import PRETRAINED, RANDOM, Classifier, load_classifier
from seethrough.models.train_classifier import ClassifierTraining, train_classifier
from seethrough.models.train_embedded import N_HELDOUT, N_TRAIN
from seethrough.pruning.apply_masks import apply_masks
from seethrough.pruning.prunable_layers import prunable_layers
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.pruning.sparse_checkpoint import load_sparse_checkpoint, save_sparse_checkpoint
from seethrough.store import ArtifactStore
from seethrough.studies.parallel import parallel_map
from seethrough.studies.shapes3d_maps import use_stored_maps
from seethrough.training.initialise import generator_for
from seethrough.training.timing import stored_seconds, write_seconds

MODEL_FILE = "model.safetensors"
PRUNED = WEIGHTS / "pruned"
"""Pruned and recovered models that come with the package."""
PACKAGED = PRUNED / "models.json"
"""Their configurations and provenance."""
N_IMAGENET = 1000
DENSE, TUNED = "dense", "dense_tuned"
"""Names of the model as released, and of the same after the recovery's steps without masks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpactParameters:
    """Parameters that the pruning studies share; the defaults are the `smoke` scale."""

    model: str = "shapes3d_vit"
    """A model of the package, or timm's name of a plain vision transformer."""
    weights: str = ""
    """For timm's models: a safetensors or torch file, "pretrained" (network), or "random"."""
    data: str = ""
    """For timm's models: a folder of class folders, or a CSV of labels."""
    pictures: str = ""
    """With a CSV: the folder or tar of its pictures."""
    train_data: str = ""
    """A folder of class folders for calibration and recovery; empty: one half of `data`."""
    resize: bool = True
    """Whether pictures are resized as the weights want; else their centre is cut out as it is."""
    sparsities: tuple[float, ...] = (0.5, 0.7)
    """Shares of the prunable weights removed, each once, above 0 and below 1."""
    group: str = "row"
    """Weights that compete: row (of one output) or layer."""
    statistics: str = "dense"
    """What Wanda measures: dense, or sequential (each block behind pruned ones)."""
    n_calibration: int = 64
    """Training images of Wanda's statistics."""
    n_recovery: int = 128
    """Training images of the recovery."""
    recovery_epochs: int = 2
    """Passes over them; the paper has 2."""
    recovery_rate: float = 5e-4
    """AdamW's step size at its highest during recovery."""
    batch_size: int = 64
    """Images per step, and per pass of a measurement."""
    precision: str = "bfloat16"
    """float32, or bfloat16 for the matrix products of the recovery."""
    n_evaluation: int = 64
    """Held-out images of every measurement."""
    seeds: tuple[int, ...] = (0,)
    """One calibration sample and one recovery per seed."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads of one recovery; other counts change results in the last bits."""
    workers: int = 1
    """Recoveries at a time, at least 1; results do not depend on it."""

    def __post_init__(self) -> None:
        for name in ("sparsities", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}, allowed is one or more, each once")
        counts = ("n_calibration", "n_recovery", "recovery_epochs", "n_evaluation", "workers")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is at least 1")
        if not 0 < self.recovery_rate < math.inf:
            raise ValueError(
                f"recovery_rate is {self.recovery_rate}, allowed is a finite number above 0"
            )
        for sparsity in self.sparsities:
            if not 0 < sparsity < 1:
                raise ValueError(f"sparsities has {sparsity}, allowed is above 0 and below 1")
        self._check_source()
        self.recovery(0)
        self.pruning(Condition(method="wanda", sparsity=self.sparsities[0]), min(self.seeds))

    def _check_source(self) -> None:
        """Refuse a model without images, and images for a model that has its own."""
        if self.model in MODELS:
            for name in ("weights", "data", "pictures", "train_data"):
                if getattr(self, name):
                    raise ValueError(
                        f"{name} is {getattr(self, name)!r}, allowed is nothing for {self.model}, "
                        "which has its own"
                    )
            return
        if not self.weights or not self.data:
            raise ValueError(
                f"model {self.model!r} needs weights and data; models that have their own are "
                f"{', '.join(MODELS)}"
            )

    def check_files(self) -> None:
        """Raise ValueError unless every file that the parameters name is there."""
        for name in ("weights", "data", "pictures", "train_data"):
            path = getattr(self, name)
            named = name == "weights" and path in (RANDOM, PRETRAINED)
            if path and not named and not Path(path).exists():
                raise ValueError(f"{name} is {path!r}, allowed is a path that exists")

    def conditions(self) -> list["Condition"]:
        """Return the models to compare, those with recovery only; the dense one first."""
        return [
            Condition(method=DENSE),
            Condition(method=TUNED, recovered=True),
            *(Condition(method="wanda", sparsity=s, recovered=True) for s in self.sparsities),
        ]

    def recovery(self, seed: int) -> ClassifierTraining:
        """Return how a pruned model is trained again."""
        return ClassifierTraining(
            epochs=self.recovery_epochs,
            batch_size=self.batch_size,
            learning_rate=self.recovery_rate,
            precision=self.precision,
            seed=seed,
            device=self.device,
            threads=self.threads,
        )

    def pruning(self, condition: "Condition", seed: int) -> PruningConfig:
        """Return how a condition's weights are chosen."""
        if condition.structure != "unstructured":
            return PruningConfig(
                method=condition.method, sparsity=0.5, structure=condition.structure, seed=seed
            )
        return PruningConfig(
            method=condition.method,
            sparsity=condition.sparsity,
            group=self.group,
            statistics=self.statistics if condition.method == "wanda" else "dense",
            seed=seed,
        )

    def config(self, condition: "Condition", seed: int) -> "ModelConfig":
        """Return the artifact's configuration of one condition and seed."""
        calibrated, recovered = condition.method == "wanda", condition.recovered
        return ModelConfig(
            model=self.model,
            weights=weights_digest(self.model, self.weights),
            data=data_digest(self.data, self.pictures, self.train_data, self.resize),
            pruning=None if condition.is_dense else self.pruning(condition, seed),
            n_calibration=self.n_calibration if calibrated else 0,
            recovery=self.recovery(seed) if recovered else None,
            n_recovery=self.n_recovery if recovered else 0,
            seed=seed,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One model of a comparison, for all seeds."""

    method: str
    """dense, dense_tuned, wanda, magnitude or random."""
    sparsity: float = 0.0
    """Share of the prunable weights removed; 0 for the dense ones."""
    structure: str = "unstructured"
    """unstructured, 2:4 or 4:8."""
    recovered: bool = False
    """Whether the recovery's steps were taken."""

    @property
    def is_dense(self) -> bool:
        """Return whether no weight is removed."""
        return self.method in (DENSE, TUNED)

    @property
    def name(self) -> str:
        """Return its part of row names: dense, dense_tuned, wanda/0.7, random/2:4."""
        if self.is_dense:
            return self.method
        pattern = "" if self.structure == "unstructured" else self.structure
        return f"{self.method}/{pattern or f'{self.sparsity:g}'}"

    def cell(self) -> dict[str, str | int | float]:
        """Return the condition as a result's rows hold it."""
        return {"model": self.method, "sparsity": self.sparsity, "structure": self.structure}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """What decides the weights of one model."""

    model: str
    """Name of the model."""
    weights: str
    """Digest of its weights before pruning."""
    data: str
    """Digest of the images; empty for those that belong to the model."""
    pruning: PruningConfig | None
    """How weights are removed; None for a dense model."""
    n_calibration: int
    """Images of the pruner's statistics, 0 if it needs none."""
    recovery: ClassifierTraining | None
    """How it is trained again; None if it is not."""
    n_recovery: int
    """Images of the recovery, 0 without one."""
    seed: int
    """Decides which images are taken."""


@dataclass(frozen=True)
class Material:
    """A dense classifier with images to prune, train and judge it on."""

    classifier: Classifier
    """The dense model."""
    training: LabelledImages
    """Where calibration and recovery take their images from."""
    train_index: Int64[Tensor, " train"]
    """Which of them."""
    evaluation: LabelledImages
    """Where measurements take their images from."""
    heldout: Int64[Tensor, " evaluation"]
    """Which of them, in random order; none is in `train_index`."""

    def of_classes(self, classes: Int64[Tensor, " C"], per_class: int) -> Int64[Tensor, " n"]:
        """Return the first `per_class` held-out images of each class, or as many as there are."""
        labels = self.evaluation.labels[self.heldout]
        rows = [(labels == number).nonzero()[:per_class, 0] for number in classes.tolist()]
        return self.heldout[torch.cat(rows)]

    def sample(self, n_images: int, seed: int, purpose: str) -> Int64[Tensor, " n"]:
        """Return training images drawn without replacement; all, if there are fewer."""
        generator = generator_for(seed, "sample", purpose)
        rows = torch.randperm(len(self.train_index), generator=generator)[:n_images]
        return self.train_index[rows]


@functools.lru_cache(maxsize=2)
def material(parameters: ImpactParameters) -> Material:
    """Return classifier and images of a study.

    Raises:
        ValueError: whatever the loaders of weights and pictures refuse, or too few held-out images.
    """
    found = _embedded(parameters) if parameters.model in MODELS else _from_files(parameters)
    if len(found.heldout) < parameters.n_evaluation:
        raise ValueError(
            f"n_evaluation is {parameters.n_evaluation}, allowed is at most {len(found.heldout)}: "
            f"the held-out images of {found.evaluation.name}"
        )
    found.classifier.model.to(parameters.device)
    return found


def models(
    parameters: ImpactParameters, conditions: Sequence[Condition], store: ArtifactStore
) -> Iterator[tuple[Condition, int, nn.Module]]:
    """Yield every condition's model for every seed, made now if it is nowhere; one at a time.

    A dense model that is not trained again does not depend on the seed and is yielded for each.
    """
    prepare(parameters, conditions, store)
    dense = material(parameters).classifier.model
    pairs = [(condition, seed) for condition in conditions for seed in parameters.seeds]
    for condition, seed in tqdm(pairs, desc="measuring", unit="model", file=sys.stderr):
        if condition.method == DENSE:
            yield condition, seed, dense
        else:
            model = copy.deepcopy(dense)
            load_sparse_checkpoint(model_file(parameters, condition, seed, store), model)
            yield condition, seed, model


def prepare(
    parameters: ImpactParameters, conditions: Sequence[Condition], store: ArtifactStore
) -> None:
    """Make the models that neither package nor store holds, `workers` at once."""
    _use_maps(parameters, store)
    wanted = [(c, seed) for c in conditions if c.method != DENSE for seed in parameters.seeds]
    missing = [pair for pair in wanted if not _is_there(parameters.config(*pair), store)]
    steps = sum(
        config.recovery.steps(config.n_recovery)
        for config in (parameters.config(*pair) for pair in missing)
        if config.recovery
    )
    if missing:
        print(
            f"making {len(missing)} model(s), {steps:,} steps of {parameters.batch_size} images",
            file=sys.stderr,
            flush=True,
        )
    parallel_map(partial(_make, parameters=parameters, store=store), missing, parameters.workers)


def model_file(
    parameters: ImpactParameters, condition: Condition, seed: int, store: ArtifactStore
) -> Path:
    """Return the sparse checkpoint of a model, made now if it is nowhere."""
    config = parameters.config(condition, seed)
    packaged = packaged_models().get(canonical_json(config))
    if packaged is not None:
        return packaged
    return store.get(config, builder(parameters)) / MODEL_FILE


def seconds_of(
    parameters: ImpactParameters, conditions: Sequence[Condition], store: ArtifactStore
) -> float:
    """Return how long making the stored models took; those of the package count nothing."""
    configs = {
        parameters.config(condition, seed)
        for condition in conditions
        if condition.method != DENSE
        for seed in parameters.seeds
    }
    build = builder(parameters)
    kept = packaged_models()
    return math.fsum(
        stored_seconds(store.get(config, build))
        for config in configs
        if canonical_json(config) not in kept
    )


def builder(parameters: ImpactParameters):  # type: ignore[no-untyped-def]
    """Return what makes an artifact: prunes, trains again, and stores one model."""

    def build(config: ModelConfig, workspace: Path) -> None:
        started = time.monotonic()
        source = material(parameters)
        model = copy.deepcopy(source.classifier.model)
        masks = masks_of(config, source, parameters)
        apply_masks(model, masks)
        if config.recovery is not None:
            rows = source.sample(config.n_recovery, config.seed, "recovery")
            train_classifier(
                model,
                source.training,
                rows,
                config.recovery,
                workspace,
                masks,
                label=_label(config),
            )
        else:
            write_seconds(workspace, started)
        save_sparse_checkpoint(workspace / MODEL_FILE, model, masks, torch.float16)

    return build


def masks_of(
    config: ModelConfig, source: Material, parameters: ImpactParameters
) -> dict[str, Tensor]:
    """Return the masks of kept weights; all are kept in a dense model."""
    model = source.classifier.model
    if config.pruning is None:
        return {
            name: torch.ones_like(layer.weight, dtype=torch.bool)
            for name, layer in prunable_layers(model).items()
        }
    rows = source.sample(config.n_calibration, config.seed, "calibration")
    batches = source.training.batches(rows, parameters.batch_size, parameters.device)
    images = [images for images, _ in batches]
    return dict(prune_masks(model, images, config.pruning))


@functools.cache
def packaged_models() -> dict[str, Path]:
    """Return the package's pruned models: canonical JSON of the configuration -> file."""
    if not PACKAGED.exists():
        return {}
    entries = json.loads(PACKAGED.read_text("utf-8"))["models"]
    return {entry["config"]: PRUNED / entry["file"] for entry in entries}


def weights_digest(model: str, weights: str) -> str:
    """Return what tells one set of weights from another: a SHA-256, or a name."""
    if model in MODELS:
        return _file_digest(weights_file(model))
    return weights if weights in (RANDOM, PRETRAINED) else _file_digest(Path(weights))


@functools.cache
def data_digest(data: str, pictures: str, train_data: str, resize: bool) -> str:
    """Return what tells one set of pictures from another: a SHA-256.

    Pictures count with their paths below the folder, which name the class, and their sizes; a CSV
    of labels counts with its content.
    """
    if not data:
        return ""
    labels = ""
    if Path(data).is_file():
        labels = hashlib.sha256(Path(data).read_bytes()).hexdigest()
        data = pictures or str(Path(data).parent)
    parts = [str(resize), labels, *_sizes(data), "", *_sizes(train_data)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _sizes(root: str) -> list[str]:
    """Return path and size of every file below a folder, or the size of a tar."""
    if Path(root).is_file():
        return [str(Path(root).stat().st_size)]
    found = [Path(at) / name for at, _, names in os.walk(root, followlinks=True) for name in names]
    files = [path for path in found if path.is_file()]
    return sorted(f"{path.relative_to(root).as_posix()}:{path.stat().st_size}" for path in files)


@functools.cache
def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _is_there(config: ModelConfig, store: ArtifactStore) -> bool:
    return canonical_json(config) in packaged_models() or store.holds(config, builder)


def _use_maps(parameters: ImpactParameters, store: ArtifactStore) -> None:
    if parameters.model in MODELS:
        use_stored_maps(store, parameters.n_calibration + parameters.n_evaluation)


def _make(pair: tuple[Condition, int], parameters: ImpactParameters, store: ArtifactStore) -> None:
    _use_maps(parameters, store)
    model_file(parameters, *pair, store)


def _label(config: ModelConfig) -> str:
    pruning = config.pruning
    what = "dense" if pruning is None else f"{pruning.method} {pruning.sparsity:g}"
    return f"recovery, {what}, seed {config.seed}"


def _embedded(parameters: ImpactParameters) -> Material:
    images = images_of(parameters.model)
    train, heldout = split(N_HELDOUT)
    classifier = load_embedded(parameters.model)
    # What training did not reach is held out too.
    unseen = torch.cat([heldout, train[N_TRAIN:]])
    return Material(classifier, images, train[:N_TRAIN], images, unseen)


def _from_files(parameters: ImpactParameters) -> Material:
    parameters.check_files()
    classifier = load_classifier(parameters.model, parameters.weights)
    images = _pictures(parameters.data, parameters.pictures, classifier, parameters.resize)
    order = torch.randperm(len(images), generator=generator_for(0, "halves"))
    if parameters.train_data:
        training = _pictures(parameters.train_data, "", classifier, parameters.resize)
        if isinstance(images, ImageFolder) and training.class_names != images.class_names:
            raise ValueError(
                f"train_data has {len(training.class_names)} class folders and data "
                f"{len(images.class_names)}, allowed are the same names in both"
            )
        return Material(classifier, training, torch.arange(len(training)), images, order)
    half = len(order) // 2
    return Material(classifier, images, order[:half], images, order[half:])


def _pictures(data: str, pictures: str, classifier: Classifier, resize: bool) -> LabelledImages:
    preprocessing = classifier.preprocessing
    if not resize:
        preprocessing = replace(preprocessing, crop_fraction=None)
    if Path(data).is_file():
        place = pictures or str(Path(data).parent)
        return ImageCsv(data, place, classifier.n_classes, preprocessing)
    index = imagenet_class_index() if classifier.n_classes == N_IMAGENET else None
    found = ImageFolder(data, preprocessing, index)
    if len(found.class_names) > classifier.n_classes:
        raise ValueError(
            f"{data} has {len(found.class_names)} class folders, allowed is at most "
            f"{classifier.n_classes}: the classes of {classifier.name}"
        )
    return found
