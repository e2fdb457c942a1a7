"""Everything that decides the outcome of training a sparse autoencoder, apart from the pool."""

import math
from dataclasses import dataclass, field

from seethrough.sae.auxk import AuxK
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sparse_autoencoder import Method
from seethrough.training.checks import at_least, check_learning_rate
from seethrough.training.device import check_device


@dataclass(frozen=True, slots=True, kw_only=True)
class SAEConfig:
    """One training run; two runs of one config on one pool give the same bytes on one device."""

    method: Method = field(default_factory=BatchTopK)
    """How codes become sparse."""
    expansion: int = 32
    """Latents per feature of the input, at least 1. The paper's."""
    auxk: AuxK | None = field(default_factory=AuxK)
    """The loss that revives dead latents, or None."""
    dead_after: int = 20_480
    """Inputs of silence after which a latent is dead, at least 1: 5 batches of 4,096, as in the
    code of {cite:t}`bussmann2024batchtopk`."""
    steps: int = 16_000
    """Steps in all, at least 1: 50 passes over 1.28 million vectors at the default batch."""
    batch_size: int = 4_096
    """Vectors per step, at least 1; the last batch of a pass takes what is left."""
    learning_rate: float = 3e-4
    """Adam's step size at its highest, as in the code of {cite:t}`bussmann2024batchtopk`."""
    warmup: float = 0.05
    """Share of all steps over which the step size rises, 0 to 1. Our choice."""
    decay: float = 0.2
    """Share of all steps, the last, over which it falls to 0, 0 to 1. Our choice."""
    steps_per_record: int = 100
    """Steps whose mean is one row of the history, at least 1."""
    seed: int = 0
    """Decides the start and the order of the vectors; at least 0."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads; other counts change results in the last bits."""

    def __post_init__(self) -> None:
        names = ("expansion", "dead_after", "steps", "batch_size", "steps_per_record", "threads")
        for name in names:
            at_least(name, getattr(self, name), 1)
        at_least("seed", self.seed, 0)
        check_learning_rate(self.learning_rate)
        for name in ("warmup", "decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}, allowed is a share of the steps, 0 to 1"
                )
        check_device(self.device)

    def rate(self, step: int) -> float:
        """Return the step size of a step, counted from 0: up, level and down, each linear.

        >>> config = SAEConfig(steps=10, learning_rate=1.0, warmup=0.2, decay=0.2)
        >>> [config.rate(step) for step in (0, 1, 7, 8, 9)]
        [0.5, 1.0, 1.0, 1.0, 0.5]
        """
        rising, falling = round(self.warmup * self.steps), round(self.decay * self.steps)
        up = (step + 1) / max(1, rising)
        down = (self.steps - step) / max(1, falling)
        return self.learning_rate * min(1.0, up, down)

    def batches_per_epoch(self, n_inputs: int) -> int:
        """Return how many steps one pass over a pool takes."""
        return math.ceil(n_inputs / self.batch_size)
