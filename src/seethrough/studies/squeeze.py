"""What every study of the squeeze shares: its parameters, its checks, and its trained layers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.l1_coefficient import Trial
from seethrough.autoencoders.top_k import TopK
from seethrough.data.catalogue import NAMES
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.l1_search import SearchConfig, l1_trials, with_coefficient
from seethrough.studies.trained_layers import (
    LayerConfig,
    SideLayerConfig,
    TrainedLayer,
    TrainedModels,
)
from seethrough.studies.training_jobs import Job, train_jobs, train_layers
from seethrough.training.timing import stored_seconds
from seethrough.unknown_name import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeParameters:
    """Parameters that all studies of the squeeze share; the defaults are the `smoke` scale."""

    dsprites_path: str = ""
    """Path of the published npz; empty for images of our renderer, no download."""
    shapes3d_path: str = ""
    """Path of the published h5; empty for images of our renderer."""
    n_train: int = 32
    """Training images per seed."""
    n_heldout: int = 32
    """Held-out images per seed: every measurement is made on them."""
    k_start: int = 500
    """Units active per image in the first epoch; capped at the width."""
    k_end: int = 50
    """Units active per image in the last epoch; what the L1 coefficient is searched for."""
    l1_coefficient: float = 0.05
    """L1 coefficient after the squeeze; 0 searches the one that leaves k_end units active."""
    path_l1_coefficient: float = 0.05
    """The same for layers in the path, whose loss is the VAE's and has another scale."""
    epochs: int = 3
    """Passes over the training images while the squeeze lasts."""
    beta: float = 1.0
    """Weight of the KL divergence."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    batch_size: int = 16
    """Images per step."""
    precision: str = "float32"
    """float32, or bfloat16 for the convolutions."""
    seeds: tuple[int, ...] = (0, 1)
    """One model per seed, at least one; three or more give an interval worth reading."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads of one training run; other counts change results in the last bits."""
    workers: int = 1
    """Training runs at a time, at least 1; results do not depend on it."""

    frequency_thresholds: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    """A unit is dead if it is active on a smaller share of images; each in (0, 1)."""
    maximum_thresholds: tuple[float, ...] = (1e-6, 1e-3, 1e-2, 5e-2)
    """A unit is dead if its maximum is below this share of the layer's scale; each in (0, 1)."""

    def __post_init__(self) -> None:
        for name in ("frequency_thresholds", "maximum_thresholds"):
            for threshold in getattr(self, name):
                if not 0 < threshold < 1:
                    raise ValueError(f"{name} has {threshold}, allowed is a share above 0, below 1")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}, allowed is one seed or more, each once")
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}, allowed is at least 1")
        for name in ("dsprites_path", "shapes3d_path"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise ValueError(f"{name} is {path!r}, allowed is the published file, or nothing")
        for name in ("l1_coefficient", "path_l1_coefficient"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is a number from 0")
        TopK(start=self.k_start, end=self.k_end)
        for cell in self.cells():
            check_dataset(cell.dataset)
            self.check_search(cell)
            for seed in self.seeds:
                self.layer_config(cell, seed)

    def cells(self) -> list[Cell]:
        """Return the conditions to train; none in the base class."""
        return []

    def extra(self) -> int:
        """Return the epochs after the squeeze; none in the base class."""
        return 0

    def models(self, store: ArtifactStore) -> TrainedModels:
        """Return access to trained models in a store."""
        return TrainedModels(
            store=store,
            dsprites_path=self.dsprites_path,
            shapes3d_path=self.shapes3d_path,
            workers=self.workers,
        )

    def vae_config(self, dataset: str, seed: int, layer: PathLayer | None = None) -> TrainingConfig:
        """Return a VAE's training run, with or without a layer in its path."""
        path = self.dsprites_path if dataset.startswith("dsprites") else self.shapes3d_path
        return TrainingConfig(
            dataset=dataset,
            published=bool(path),
            n_train=self.n_train,
            n_heldout=self.n_heldout,
            layer=layer,
            epochs=self.epochs,
            extra_epochs=self.extra(),
            beta=self.beta,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
            precision=self.precision,
            seed=seed,
            device=self.device,
            threads=self.threads,
        )

    def layer_config(self, cell: Cell, seed: int) -> LayerConfig:
        """Return a sparse layer's training run; a searched coefficient is still to be put in."""
        sparsifier = self.sparsifier(cell)
        if cell.position == "in_path":
            return self.vae_config(
                cell.dataset, seed, PathLayer(width=cell.width, sparsifier=sparsifier)
            )
        return SideLayerConfig(
            vae=self.vae_config(cell.dataset, seed),
            position=cell.position,
            sae=SAEConfig(
                width=cell.width,
                sparsifier=sparsifier,
                epochs=self.epochs,
                extra_epochs=self.extra(),
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                seed=seed,
                device=self.device,
                threads=self.threads,
            ),
        )

    def sparsifier(self, cell: Cell) -> TopK | L1:
        """Return the cell's sparsifier."""
        if cell.sparsifier == "l1":
            return L1(coefficient=self.coefficient(cell), schedule=cell.schedule)
        if cell.schedule == "open":
            return TopK(start=self.k_start, end=self.k_start, schedule="constant")
        return TopK(start=self.k_start, end=self.k_end, schedule=cell.schedule)

    def coefficient(self, cell: Cell) -> float:
        """Return the L1 coefficient of a cell's place; 0 if it is to be searched."""
        coefficient: float = getattr(self, coefficient_name(cell))
        return coefficient

    def is_searched(self, cell: Cell) -> bool:
        """Return whether the cell's sparsifier is L1 and its coefficient is to be searched."""
        return cell.sparsifier == "l1" and not self.coefficient(cell)

    def check_search(self, cell: Cell) -> None:
        """Raise ValueError for a search that cannot end: too few units to leave k_end active.

        At most `width` units are active on an image. With k_end units in all, none could ever be
        silent: the penalty, which only silences units, would have nothing to do, and no
        coefficient would be the one that leaves k_end of them.
        """
        if self.is_searched(cell) and cell.width <= self.k_end:
            raise ValueError(
                f"width is {cell.width} in {cell.name}, whose L1 coefficient is searched so that "
                f"k_end units, {self.k_end}, stay active: allowed is a width above k_end, or "
                f"{coefficient_name(cell)} above 0, instead of a search"
            )

    def search(self, cell: Cell) -> SearchConfig:
        """Return the search for the coefficient of an L1 cell, on the first seed."""
        layer = without_extra_epochs(self.layer_config(cell, self.seeds[0]))
        return SearchConfig(layer=layer, position=cell.position, target=float(self.k_end))


@dataclass(frozen=True, slots=True)
class TrainedCell:
    """All seeds of one condition."""

    cell: Cell
    """The condition."""
    layers: tuple[TrainedLayer, ...]
    """One layer per seed."""
    trials: tuple[Trial, ...]
    """The search for the L1 coefficient; empty without one."""


def train_cells(
    parameters: SqueezeParameters, cells: Sequence[Cell], store: ArtifactStore | None = None
) -> list[TrainedCell]:
    """Return all cells trained, training what the store does not hold.

    Where L1 coefficients are to be searched, the search on the first seed comes first; the other
    seeds use what it found.
    """
    models = parameters.models(store or ArtifactStore())
    searches = {cell: parameters.search(cell) for cell in cells if parameters.is_searched(cell)}
    train_jobs(_begin(parameters, cells, searches), models)
    trials = {cell: tuple(l1_trials(search, models)) for cell, search in searches.items()}
    configs: list[LayerConfig] = []
    for cell in cells:
        for seed in parameters.seeds:
            config = parameters.layer_config(cell, seed)
            if cell in trials:
                config = with_coefficient(config, trials[cell][-1].coefficient)
            configs.append(config)
    layers = iter(train_layers(configs, models))
    return [
        TrainedCell(cell, tuple(next(layers) for _ in parameters.seeds), trials.get(cell, ()))
        for cell in cells
    ]


def training_seconds(trained: Sequence[TrainedCell]) -> float:
    """Return how long the layers and their VAEs took, each counted once."""
    layers = [layer for cell in trained for layer in cell.layers]
    folders = {layer.folder for layer in layers} | {layer.vae.folder for layer in layers}
    return sum(stored_seconds(folder) for folder in folders)


def coefficient_name(cell: Cell) -> str:
    """Return the name of the parameter that holds the L1 coefficient of the cell's place."""
    return "path_l1_coefficient" if cell.position == "in_path" else "l1_coefficient"


def check_dataset(name: str) -> None:
    """Raise ValueError, naming the nearest, unless there is a data set of this name."""
    if name not in NAMES:
        raise ValueError(f"data set {unknown(name, NAMES)}")


def without_extra_epochs(config: LayerConfig) -> LayerConfig:
    """Return the run that ends with the squeeze."""
    if isinstance(config, TrainingConfig):
        return config.squeeze()
    sae = replace(config.sae, extra_epochs=0)
    return replace(config, vae=config.vae.squeeze(), sae=sae)


def _begin(
    parameters: SqueezeParameters, cells: Sequence[Cell], searches: Mapping[Cell, SearchConfig]
) -> list[Job]:
    """Return what can be done before the searches are: VAEs, searches, layers of other cells."""
    jobs: list[Job] = []
    for cell in cells:
        layers = [parameters.layer_config(cell, seed) for seed in parameters.seeds]
        if cell not in searches:
            jobs += layers
            continue
        jobs.append(searches[cell])
        jobs += [layer.vae for layer in layers if isinstance(layer, SideLayerConfig)]
    return jobs
