"""What every study of the squeeze shares: its parameters, its checks, and how it is computed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from seethrough.autoencoders.schedule import make_schedule
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import Branch
from seethrough.provenance import collect
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_rows import LayerResults
from seethrough.studies.trained_runs import TrainedRun, trained_runs

RESULT_FILE = "result.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class SqueezeParameters:
    """Parameters that all studies of the squeeze share; the defaults are the `smoke` scale."""

    source: str = "rendered"
    """rendered (our renderer, no download) or official (the published file)."""
    official_path: str = ""
    """Path of the published npz; read for the source official only."""
    n_train: int = 64
    """Training images per seed."""
    n_heldout: int = 64
    """Held-out images per seed: every measurement is made on them."""
    schedule: str = "linear"
    """Shape of the squeeze: linear, cosine or constant (k_end throughout)."""
    k_start: int = 500
    """Units active per image in the first epoch; capped at the width."""
    k_end: int = 50
    """Units active per image in the last epoch."""
    epochs: int = 3
    """Passes over the training images."""
    beta: float = 1.0
    """Weight of the KL divergence."""
    learning_rate: float = 1e-3
    """Adam's step size."""
    batch_size: int = 64
    """Images per step."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """One model per seed, at least one; three or more give an interval worth reading."""
    frequency_thresholds: tuple[float, ...] = (1e-4, 1e-3, 1e-2)
    """A unit is dead if it is active on a smaller share of images; each in (0, 1)."""
    maximum_thresholds: tuple[float, ...] = (1e-6, 1e-3, 1e-2, 5e-2)
    """A unit is dead if its maximum is below this share of the layer's scale; each in (0, 1)."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads; other counts change results in the last bits."""

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds is {self.seeds}, allowed is one seed or more, each once")
        for name in ("frequency_thresholds", "maximum_thresholds"):
            for threshold in getattr(self, name):
                if not 0 < threshold < 1:
                    raise ValueError(f"{name} has {threshold}, allowed is a share above 0, below 1")
        if self.source == "official" and not Path(self.official_path).is_file():
            raise ValueError(
                f"official_path is {self.official_path!r}, allowed is the path of the published npz"
            )
        self.training_configs()

    def branch_groups(self) -> list[tuple[Branch, ...]]:
        """Return the sparse layers to train, grouped by training run."""
        return [(Branch(),)]

    def training_configs(self) -> list[TrainingConfig]:
        """Return every training run, seed by seed within each group of branches."""
        return [
            TrainingConfig(
                source=self.source,
                n_train=self.n_train,
                n_heldout=self.n_heldout,
                branches=branches,
                schedule=make_schedule(self.schedule, self.k_start, self.k_end),
                epochs=self.epochs,
                beta=self.beta,
                learning_rate=self.learning_rate,
                batch_size=self.batch_size,
                seed=seed,
                device=self.device,
                threads=self.threads,
            )
            for branches in self.branch_groups()
            for seed in self.seeds
        ]


def train_all(
    parameters: SqueezeParameters, store: ArtifactStore | None = None
) -> list[TrainedRun]:
    """Return the trained models, training what the store does not hold."""
    return trained_runs(
        parameters.training_configs(), store or ArtifactStore(), parameters.official_path
    )


def run_study(
    study: str, parameters: SqueezeParameters, store: ArtifactStore | None = None
) -> StudyResult:
    """Return rows, curves and provenance of a study of the squeeze, from the store if there.

    Seconds in the provenance are those that training took whenever it happened.
    """
    store = store or ArtifactStore()
    return StudyResult.read(store.get(parameters, _builder(study, store)) / RESULT_FILE)


def _builder(study: str, store: ArtifactStore) -> Callable[[SqueezeParameters, Path], None]:
    def build(parameters: SqueezeParameters, workspace: Path) -> None:
        runs = train_all(parameters, store)
        layers = [
            LayerResults(runs_of(runs, branches), branch)
            for branches in parameters.branch_groups()
            for branch in branches
        ]
        thresholds = (parameters.frequency_thresholds, parameters.maximum_thresholds)
        StudyResult(
            study=study,
            rows=tuple(row for layer in layers for row in layer.rows(*thresholds)),
            series=tuple(curve for layer in layers for curve in layer.series()),
            provenance=collect(study, parameters, seconds=sum(run.seconds for run in runs)),
        ).write(workspace / RESULT_FILE)

    return build


def runs_of(runs: Sequence[TrainedRun], branches: tuple[Branch, ...]) -> list[TrainedRun]:
    """Return the runs that trained exactly these branches, in the order of their seeds."""
    return [run for run in runs if run.config.branches == branches]
