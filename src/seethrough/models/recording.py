"""What a VAE in training gave a layer beside it to read, recorded epoch by epoch.

One safetensors file per epoch: `train/hidden` and `train/mean`, batch by batch in the order of
training, each computed before the batch's step; `heldout/hidden` and `heldout/mean` after the
epoch; and after scored epochs `vae/...`, the VAE's parameters. Hidden layers are stored as float16:
a layer beside the VAE reads them with 11 significant bits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from seethrough.models.held_out import Representations
from seethrough.models.vae import D_HIDDEN, N_LATENTS, VAE
from seethrough.training.checkpoint import contiguous
from seethrough.training.initialise import generator_for

FOLDER = "recording"
SOURCES = {"beside": ("hidden", D_HIDDEN), "latent": ("mean", N_LATENTS)}
"""Position of a side layer to what it reads and that one's dimensions."""


def epoch_file(folder: Path, epoch: int) -> Path:
    """Return the file of one epoch below a run's folder."""
    return folder / FOLDER / f"epoch_{epoch:04d}.safetensors"


def record_epoch(
    path: Path,
    hidden: Float[Tensor, "n_train 256"],
    mean: Float[Tensor, "n_train 10"],
    held: Representations,
    vae: VAE | None,
) -> None:
    """Write one epoch's record; `vae` is given after scored epochs.

    Raises ValueError if the hidden layer goes beyond what float16 holds.
    """
    for part in (hidden, held.hidden):
        if not part.half().isfinite().all():
            raise ValueError(
                f"the hidden layer reaches {float(part.abs().max()):g}, float16 holds up to 65504"
            )
    state = {
        "train/hidden": hidden.half(),
        "train/mean": mean,
        "heldout/hidden": held.hidden.half(),
        "heldout/mean": held.mean,
    }
    if vae is not None:
        state |= {f"vae/{name}": tensor for name, tensor in vae.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(state), temporary)
    temporary.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedActivations:
    """A source of activations for a layer beside a VAE in training."""

    folders: Sequence[Path]
    """Folders of the run and of what it went on from; an epoch is in one of them."""
    position: str
    """beside: the hidden layer; latent: the latent mean."""
    device: str = "cpu"
    """Where the activations go."""

    def __post_init__(self) -> None:
        if self.position not in SOURCES:
            raise ValueError(f"position is {self.position!r}, allowed are {', '.join(SOURCES)}")

    @property
    def d_input(self) -> int:
        """Return D, the number of input dimensions."""
        return SOURCES[self.position][1]

    def train(self, epoch: int) -> Float[Tensor, "n_train D"]:
        """Return what the layer would have read during the epoch, in order."""
        return self._read(epoch, "train").to(self.device)

    def heldout(self, epoch: int) -> Float[Tensor, "n_heldout D"]:
        """Return the activations of the held-out images after the epoch."""
        return self._read(epoch, "heldout").to(self.device)

    def vae(self, channels: int, epoch: int) -> VAE:
        """Return the VAE as it was after a scored epoch; raise ValueError for any other epoch."""
        vae = VAE.create(channels, generator_for(0))
        with safe_open(self._path(epoch), framework="pt") as file:
            names = [name for name in file.keys() if name.startswith("vae/")]  # noqa: SIM118
            if not names:
                raise ValueError(
                    f"epoch is {epoch}, allowed is an epoch after which codes are scored"
                )
            vae.load_state_dict({n.removeprefix("vae/"): file.get_tensor(n) for n in names})
        return vae

    def _read(self, epoch: int, part: str) -> Tensor:
        with safe_open(self._path(epoch), framework="pt") as file:
            tensor: Tensor = file.get_tensor(f"{part}/{SOURCES[self.position][0]}")
        return tensor.float()

    def _path(self, epoch: int) -> Path:
        for folder in self.folders:
            path = epoch_file(folder, epoch)
            if path.exists():
                return path
        raise ValueError(f"epoch is {epoch}, allowed is an epoch that was recorded")
