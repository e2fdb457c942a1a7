"""Learned node masks as artifacts: one per model, task and kind of examples, for all prices."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float, Float32
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.train_masks import train_masks
from seethrough.store import ArtifactStore
from seethrough.studies.circuit_images import Examples
from seethrough.studies.impact_models import ModelConfig
from seethrough.training.timing import stored_seconds, write_seconds

MASKS_FILE = "masks.safetensors"
TRUE, SHUFFLED, UNTRAINED, SEEN_HUES = "true", "shuffled", "untrained", "seen_hues"
"""What a mask is learned on: the task; dealt labels; a model without training; some hues alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskConfig:
    """What decides the masks of one model and task."""

    model: ModelConfig
    """The model, or the one whose architecture an untrained model has."""
    kind: str
    """true, shuffled, untrained or seen_hues."""
    task: str
    """Name of the task."""
    n_pairs: int
    """Positives, and negatives, at most."""
    n_mean_images: int
    """Training images behind the means."""
    seed: int
    """Decides which images are taken."""
    training: MaskTraining
    """How masks are learned."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredMasks:
    """The masks of one model and task."""

    tau: Float32[Tensor, "kappas nodes"]
    """Learned parameters, price by price."""
    seconds: float
    """How long training took."""


def learned_masks(
    config: MaskConfig,
    model: nn.Module,
    examples: Examples,
    means: Callable[[], Float[Tensor, " channels"]],
    store: ArtifactStore,
) -> StoredMasks:
    """Return the masks of a configuration, from the store if they are there.

    Means are asked for only where masks are learned now.
    """

    def build(config: MaskConfig, workspace: Path) -> None:
        started = time.monotonic()
        label = f"masks, {config.task}, {config.kind}, seed {config.seed}"
        learned = train_masks(
            model, examples.images, [examples.pairs], means(), config.training, workspace, label
        )
        tensors = {
            "tau": learned.tau[0],
            "losses": learned.losses[:, 0],
            "n_active": learned.n_active[:, 0],
        }
        save_file({k: v.contiguous() for k, v in tensors.items()}, workspace / MASKS_FILE)
        write_seconds(workspace, started)

    folder = store.get(config, build)
    return StoredMasks(tau=load_file(folder / MASKS_FILE)["tau"], seconds=stored_seconds(folder))
