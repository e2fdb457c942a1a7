"""Everything that decides the outcome of training node masks, apart from model and examples."""

import math
from dataclasses import dataclass

from seethrough.circuits.mask_sites import check_granularity
from seethrough.circuits.node_mask import check_temperature
from seethrough.training.checks import at_least, check_learning_rate
from seethrough.training.device import check_device


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskTraining:
    """How node masks are trained."""

    kappas: tuple[float, ...] = (8e-5,)
    """Prices of one active node in nats, at least 0, each once; every task is trained at each. The
    paper has 8e-5 for its dense and 4e-5 for its sparse models."""
    epochs: int = 15
    """Passes over the examples; the paper's."""
    batch_pairs: int = 32
    """Positives, and negatives, per step; the last step of an epoch takes what is left."""
    learning_rate: float = 3e-3
    """AdamW's step size at the start; it falls linearly to 0."""
    beta2: float = 0.95
    """Memory of AdamW's squared gradients, 0 to below 1."""
    weight_decay: float = 1e-3
    """Decay of tau, at least 0."""
    clip: float = 1.0
    """Largest norm of one mask's gradient, above 0."""
    temperature: float = 1.0
    """Width of the sigmoid whose slope stands for the step's."""
    masks_per_pass: int = 1
    """Masks that go through the model at once, at least 1; results differ by rounding alone. On one
    CPU thread several at once are slower, on a GPU they fill the device."""
    granularity: str = "channel"
    """What one node of q, k and v is: channel or head."""
    seed: int = 0
    """Decides the start and the order of the examples."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads; other counts change results in the last bits."""

    def __post_init__(self) -> None:
        if not self.kappas or len(set(self.kappas)) < len(self.kappas):
            raise ValueError(f"kappas are {self.kappas}, allowed is one or more, each once")
        for kappa in self.kappas:
            at_least("kappa", kappa, 0)
        for name in ("epochs", "batch_pairs", "masks_per_pass", "threads"):
            at_least(name, getattr(self, name), 1)
        check_learning_rate(self.learning_rate)
        at_least("weight_decay", self.weight_decay, 0)
        if not 0 <= self.beta2 < 1:
            raise ValueError(f"beta2 is {self.beta2}, allowed is 0 to below 1")
        if not 0 < self.clip < float("inf"):
            raise ValueError(f"clip is {self.clip}, allowed is a finite number above 0")
        check_temperature(self.temperature)
        check_granularity(self.granularity)
        check_device(self.device)

    def steps(self, n_pairs: int) -> int:
        """Return how many steps all epochs over `n_pairs` positives and negatives take."""
        return self.epochs * math.ceil(n_pairs / self.batch_pairs)

    def rate(self, step: int, total: int) -> float:
        """Return the step size of a step, counted from 0 to total - 1."""
        return self.learning_rate * (1 - step / total)
