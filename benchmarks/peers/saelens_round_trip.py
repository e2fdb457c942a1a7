"""Does SAELens itself read what we export, and do we read what it saves?

For every method an autoencoder after a few training steps is exported, loaded by the real library,
and asked for codes and reconstructions of unseen vectors; both must be ours. Then a small BatchTopK
autoencoder that SAELens trained and saved is read by us. The largest differences are printed and
an assertion fails on any above one part in 100,000 of the largest number.

Run: python benchmarks/peers/environment.py \
    && .venv-peers/bin/python benchmarks/peers/saelens_round_trip.py
"""

import tempfile
import warnings
from pathlib import Path

import torch
from torch import Tensor

from seethrough.models import torchvision_compatibility  # noqa: F401

# isort: split
from seethrough.performance.dense_sae_step import sample_activations
from seethrough.sae import L1, BatchTopK, JumpReLU, SAEConfig, TopK, export_saelens, read_saelens
from seethrough.sae.sparse_autoencoder import Method, SparseAutoencoder
from seethrough.sae.train_sae import train_sae

D, K, TOLERANCE = 48, 6, 1e-5
METHODS: tuple[Method, ...] = (BatchTopK(k=K), TopK(k=K), L1(coefficient=0.05), JumpReLU(k=K))


def trained(method: Method, folder: Path) -> SparseAutoencoder:
    config = SAEConfig(method=method, expansion=4, steps=60, batch_size=256, learning_rate=1e-3)
    inputs = 3 * sample_activations(1024, D, seed=0, n_features=64, n_active=4) + 1
    return train_sae(config, inputs, folder, type(method).__name__)


def compared(ours: Tensor, theirs: Tensor) -> float:
    """Return the largest difference as a share of the largest number; raise above TOLERANCE."""
    difference = float((ours - theirs).abs().max() / ours.abs().max())
    assert difference < TOLERANCE, difference
    return difference


@torch.no_grad()
def exported(sae: SparseAutoencoder, folder: Path, unseen: Tensor) -> str:
    from sae_lens import SAE

    export_saelens(sae, folder, "a small transformer", "blocks.5.class")
    theirs = SAE.load_from_disk(folder)
    codes, found = theirs.encode(unseen), theirs(unseen)
    assert torch.equal(codes > 0, sae.encode_dense(unseen) > 0)
    differences = compared(sae.encode_dense(unseen), codes), compared(sae(unseen), found)
    active = float((codes > 0).sum(1).double().mean())
    return (
        f"| our {type(sae.rule.config).__name__} | {type(theirs).__name__} | {active:.1f} | "
        f"{differences[0]:.1e} | {differences[1]:.1e} |"
    )


@torch.no_grad()
def imported(folder: Path, unseen: Tensor) -> str:
    from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    torch.manual_seed(0)
    config = BatchTopKTrainingSAEConfig(
        d_in=D, d_sae=4 * D, k=K, rescale_acts_by_decoder_norm=False
    )
    trainer = BatchTopKTrainingSAE(config)
    for step in range(300):  # its threshold settles
        batch = TrainStepInput(unseen, {}, None, step, False)
        trainer.training_forward_pass(batch)
    trainer.save_inference_model(folder)
    theirs, ours = SAE.load_from_disk(folder), read_saelens(folder)
    codes = ours.encode(unseen)
    differences = (
        compared(theirs.encode(unseen), codes),
        compared(theirs(unseen), ours.decode(codes)),
    )
    active = float((codes > 0).sum(1).double().mean())
    return (
        f"| SAELens's {type(theirs).__name__} | our reader | {active:.1f} | "
        f"{differences[0]:.1e} | {differences[1]:.1e} |"
    )


def main() -> None:
    warnings.filterwarnings("ignore")  # the library's own
    import sae_lens

    torch.set_num_threads(1)
    unseen = 3 * sample_activations(256, D, seed=1, n_features=64, n_active=4) + 1
    print(f"torch {torch.__version__}, SAELens {sae_lens.__version__}")
    print("| written by | read by | active latents | codes differ by | reconstructions differ by |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        for method in METHODS:
            kind = type(method).__name__
            sae = trained(method, Path(name, "training", kind))
            print(exported(sae, Path(name, kind), unseen), flush=True)
        print(imported(Path(name, "saelens"), unseen))


if __name__ == "__main__":
    main()
