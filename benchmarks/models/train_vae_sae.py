"""What does the sparse layer cost? Our epochs against the bare VAE's on the same batches.

Peer: the same VAE written as a plain PyTorch loop (forward, backward, fused Adam), no sparse layer,
no record, no measurement. Same process, interleaved rounds, minimum of process time per image,
half-way through the squeeze.

- The VAE with its record of what a side layer would read, written to disk. Goal: at most 1.05 x the
  bare VAE. Limit: 1.0.
- The VAE with a layer of up to 1000 units in its path. Goal: at most 1.10 x; limit: 1.0 plus the
  layer's own multiplications.
- A layer beside the VAE, trained on the record: what every further layer costs, in steps of the
  bare VAE. Goal: at most 0.10 up to 1000 units; limit: the layer's own multiplications.

Run: python benchmarks/models/train_vae_sae.py
"""

import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.train_sparse_autoencoder import create, make_optimizer, train_epoch
from seethrough.data.catalogue import load
from seethrough.models import train_vae_sae
from seethrough.models.held_out import representations
from seethrough.models.recording import SOURCES, RecordedActivations, epoch_file, record_epoch
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import VAE, negative_elbo, sample_latents
from seethrough.models.vae_sae import VAESAE, PathLayer
from seethrough.performance.report import Measurement, benchmark_parser, write_report
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.device import thread_count
from seethrough.training.initialise import generator_for

EPOCH = 26
WIDTHS = (500, 1000, 2048)
CONFIG = TrainingConfig(n_train=512, n_heldout=8, batch_size=64, threads=1)

Epoch = Callable[[], object]


def bare_epoch(images: torch.Tensor) -> Epoch:
    """Return one pass of the bare VAE over the images, in their order."""
    vae = VAE.create(1, generator_for(0, "vae"))
    optimizer = torch.optim.Adam(vae.parameters(), lr=CONFIG.learning_rate, fused=True)
    batches = [batch.float() for batch in images.split(CONFIG.batch_size)]

    def epoch() -> None:
        generator = generator_for(0, "noise")
        for pixels in batches:
            hidden = vae.hidden(pixels)
            mean, log_variance = vae.posterior(hidden)
            noise = torch.randn(mean.shape, generator=generator)
            logits = vae.decode(sample_latents(mean, log_variance, noise))
            loss = negative_elbo(logits, pixels, mean, log_variance).loss(1.0)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return epoch


def recorded_epoch(images: torch.Tensor, folder: Path) -> Epoch:
    """Return one pass of our VAE with its record on disk."""
    model = VAESAE(1, None, 0)
    optimizer = train_vae_sae.make_optimizer(model, CONFIG)
    held = representations(model, images[: CONFIG.n_heldout], 1, 0.0)

    def epoch() -> None:
        record = train_vae_sae.train_epoch(model, optimizer, images, 1, CONFIG, EPOCH)
        record_epoch(epoch_file(folder, EPOCH), record.hidden, record.mean, held, None)

    return epoch


def path_epoch(images: torch.Tensor, width: int) -> Epoch:
    """Return one pass of our VAE with a layer in its path."""
    config = replace(CONFIG, layer=PathLayer(width=width))
    model = VAESAE(1, config.layer, 0)
    optimizer = train_vae_sae.make_optimizer(model, config)
    return lambda: train_vae_sae.train_epoch(model, optimizer, images, 1, config, EPOCH)


def side_epoch(folder: Path, position: str, width: int) -> Epoch:
    """Return one pass of a side layer over the record, read from disk."""
    config = SAEConfig(width=width, batch_size=CONFIG.batch_size)
    source = RecordedActivations(folders=(folder,), position=position)
    sae = create(config, source.d_input)
    optimizer = make_optimizer(config, sae)
    return lambda: train_epoch(sae, optimizer, source.train(EPOCH), config, EPOCH)


def multiplications(d_input: int, width: int) -> float:
    """Return a sparse layer's multiplications over the VAE's, one dense pass of each."""
    conv = [(32 * 32, 16), (16 * 16, 32 * 16), (8 * 8, 32 * 4), (4 * 4, 64 * 4)]
    encoder = sum(n * inputs * out for (n, inputs), out in zip(conv, (32, 32, 64, 64), strict=True))
    decoder = (
        4 * 4 * 64 * 16 * 64 + 8 * 8 * 64 * 16 * 32 + 16 * 16 * 32 * 16 * 32 + 32 * 32 * 32 * 16
    )
    vae = encoder + decoder + 1024 * 256 * 2 + 256 * 20 + 10 * 256
    return 2 * d_input * width / vae


def compare(bare: Epoch, ours: Epoch, rounds: int) -> tuple[float, float]:
    """Return the CPU seconds of the best bare epoch and of our best epoch, rounds interleaved."""
    times: list[tuple[float, float]] = []
    for _ in range(rounds + 1):  # the first round warms up
        start = time.process_time()
        bare()
        middle = time.process_time()
        ours()
        times.append((middle - start, time.process_time() - middle))
    return min(t[0] for t in times[1:]), min(t[1] for t in times[1:])


def goal_of(label: str) -> float | None:
    """Return the highest ratio aimed at, None for layers of more than 1000 units."""
    if label == "VAE, recorded":
        return 1.05
    if int(label.rpartition("/")[2]) > 1000:
        return None
    return 1.10 if "in_path" in label else 0.10


def main() -> None:
    """Print the table of ratios, and write it."""
    parser = benchmark_parser("Benchmark of training a VAE with a sparse layer.", rounds=9)
    arguments = parser.parse_args()
    keep_freed_memory()
    images, _ = train_vae_sae.split_images(load("dsprites"), CONFIG)
    print(
        f"device cpu ({platform.processor() or platform.machine()}), float32, 1 thread, torch "
        f"{torch.__version__}, {len(images)} images in batches of {CONFIG.batch_size}"
    )
    print("| epoch of | bare VAE, images/s | ours, images/s | ratio | limit |")
    print("|---|---|---|---|---|")
    found: list[Measurement] = []
    with TemporaryDirectory() as name, thread_count(CONFIG.threads):
        bare, folder = bare_epoch(images), Path(name)
        rows = [("VAE, recorded", recorded_epoch(images, folder), 1.0)]
        rows += [
            (f"VAE, in_path/{width}", path_epoch(images, width), 1 + multiplications(256, width))
            for width in WIDTHS
        ]
        rows += [
            (f"{position}/{width}", side_epoch(folder, position, width), multiplications(d, width))
            for position, (_, d) in SOURCES.items()
            for width in WIDTHS
        ]
        for label, ours, limit in rows:
            best_bare, best = compare(bare, ours, arguments.rounds)
            print(
                f"| {label} | {len(images) / best_bare:.0f} | {len(images) / best:.0f} "
                f"| {best / best_bare:.3f} | {limit:.3f} |",
                flush=True,
            )
            found.append(
                Measurement(
                    case=label,
                    shapes=f"{len(images)} images of 64^2 in batches of {CONFIG.batch_size}",
                    dtype="float32",
                    device="cpu",
                    threads=1,
                    rounds=arguments.rounds,
                    ours=1e3 * best,
                    limit=1e3 * best_bare,
                    goal_limit=goal_of(label),
                    note=f"multiplications alone: {limit:.3f}",
                )
            )
    write_report(
        name="vae_sae_step",
        what="An epoch of the VAE with its sparse layer",
        command="python benchmarks/models/train_vae_sae.py",
        limit="an epoch of the bare VAE, written as a plain loop",
        measurements=found,
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
