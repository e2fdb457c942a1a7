"""Parameters of the study of circuits."""

from dataclasses import dataclass

from seethrough.circuits.mask_sites import check_granularity
from seethrough.circuits.mask_training import MaskTraining
from seethrough.studies.circuit_rows import Comparison
from seethrough.studies.impact_models import TUNED, Condition, ImpactParameters

DENSE_KAPPA, SPARSE_KAPPA = 8e-5, 4e-5
"""The paper's prices of a node, for its dense and its sparse models (zhang2026impact)."""
PAPER_NODES = {"channel": 101_376, "head": 74_160}
"""Nodes of the paper's model, by what one node of q, k and v is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    sparsities: tuple[float, ...] = (0.7,)
    """Shares of the prunable weights removed, each once; 0.7 is the paper's."""
    tasks: tuple[str, ...] = ("sphere",)
    """Names of classes, or of parts of their names, to be told from the rest; each once."""
    kappas: tuple[float, ...] = (4e-5, 8e-5)
    """Prices of a node in nats, for a model of as many nodes as the paper's; each once, 4e-5 and
    8e-5 among them."""
    target_losses: tuple[float, ...] = (0.15,)
    """Losses, in nats, to which circuits are cut; each once, above 0. The published one is 0.15."""
    n_pairs: int = 8
    """Positives, and negatives, on which a mask is learned, or as many as there are."""
    n_heldout_pairs: int = 8
    """Positives, and negatives, on which it is judged, or as many as there are."""
    n_mean_images: int = 32
    """Training images whose mean activation replaces a masked node."""
    epochs: int = 3
    """Passes over the pairs; the paper has 15."""
    batch_pairs: int = 4
    """Positives, and negatives, per step."""
    learning_rate: float = 5e-2
    """AdamW's step size at the start."""
    granularity: str = "channel"
    """What one node of q, k and v is: channel or head."""
    n_control_seeds: int = 1
    """Seeds for which the controls with masks of their own are learned, the first ones."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        ImpactParameters.__post_init__(self)
        for name in ("tasks", "target_losses"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}, allowed is one or more, each once")
        for target in self.target_losses:
            if not 0 < target < float("inf"):
                raise ValueError(f"target_losses has {target}, allowed is finite and above 0")
        for kappa in (DENSE_KAPPA, SPARSE_KAPPA):
            if kappa not in self.kappas:
                raise ValueError(f"kappas is {self.kappas}, allowed is one with {kappa:g} in it")
        for name in ("n_pairs", "n_heldout_pairs", "n_mean_images"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, allowed is at least 1")
        if not 1 <= self.n_control_seeds <= len(self.seeds):
            raise ValueError(
                f"n_control_seeds is {self.n_control_seeds}, allowed is 1 to {len(self.seeds)}, "
                "the number of seeds"
            )
        check_granularity(self.granularity)
        self.training(self.kappas, n_nodes=1, seed=self.seeds[0])

    def conditions(self) -> list[Condition]:
        """Return the models to compare: the dense one that took the recovery's steps, first."""
        sparse = (Condition(method="wanda", sparsity=s, recovered=True) for s in self.sparsities)
        return [Condition(method=TUNED, recovered=True), *sparse]

    def comparisons(self) -> list[Comparison]:
        """Return which circuits are held against which."""
        paper = Comparison("paper", setting(DENSE_KAPPA), setting(SPARSE_KAPPA))
        equal = [*map(setting, self.kappas), *map(loss_setting, self.target_losses)]
        named = (name if name.startswith("loss") else f"kappa_{name}" for name in equal)
        return [paper, *(Comparison(n, e, e) for n, e in zip(named, equal, strict=True))]

    def training(self, kappas: tuple[float, ...], n_nodes: int, seed: int) -> MaskTraining:
        """Return how masks of a model with so many nodes are learned at these prices."""
        scale = PAPER_NODES[self.granularity] / n_nodes
        return MaskTraining(
            kappas=tuple(kappa * scale for kappa in kappas),
            epochs=self.epochs,
            batch_pairs=self.batch_pairs,
            learning_rate=self.learning_rate,
            granularity=self.granularity,
            seed=seed,
            device=self.device,
            threads=self.threads,
        )


def setting(kappa: float) -> str:
    """Return a price as part of a row's name."""
    return f"{kappa:g}"


def loss_setting(target: float) -> str:
    """Return a target loss as part of a row's name."""
    return f"loss_{target:g}"
