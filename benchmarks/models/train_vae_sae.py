"""What does the sparse layer cost? Our training epoch against the bare VAE's step on its batches.

Peer: the same VAE written as a plain PyTorch loop (forward, backward, fused Adam), no sparse layer,
no measurement. Same process, interleaved rounds, minimum of process time per image.
Goal: at most 1.15 x the bare VAE. Limit: 1.0 plus the sparse layer's own multiplications.

Run: python benchmarks/models/train_vae_sae.py
"""

import platform
import time
from collections.abc import Callable

import torch

from seethrough.data.dsprites import load
from seethrough.models.allocator import keep_freed_memory
from seethrough.models.initialise import generator_for
from seethrough.models.train_vae_sae import make_optimizer, split_images, thread_count, train_epoch
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import VAE, negative_elbo, sample_latents
from seethrough.models.vae_sae import POSITIONS, VAESAE, Branch

ROUNDS = 5
CONFIG = TrainingConfig(n_train=1024, n_heldout=2, threads=1)


def bare_epoch(vae: VAE, optimizer: torch.optim.Optimizer, batches: list[torch.Tensor]) -> None:
    """Take one pass of the bare VAE over batches of pixels."""
    generator = generator_for(0, "noise")
    for pixels in batches:
        hidden = vae.hidden(pixels)
        mean, log_variance = vae.posterior(hidden)
        noise = torch.randn(mean.shape, generator=generator)
        logits = vae.decode(sample_latents(mean, log_variance, noise))
        loss = negative_elbo(logits, pixels, mean, log_variance).loss(1.0)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def multiplications(branch: Branch) -> float:
    """Return the sparse layer's multiplications over the VAE's, one dense step of each."""
    conv = [(32 * 32, 16), (16 * 16, 32 * 16), (8 * 8, 32 * 4), (4 * 4, 64 * 4)]
    encoder = sum(n * inputs * out for (n, inputs), out in zip(conv, (32, 32, 64, 64), strict=True))
    decoder = (
        4 * 4 * 64 * 16 * 64 + 8 * 8 * 64 * 16 * 32 + 16 * 16 * 32 * 16 * 32 + 32 * 32 * 32 * 16
    )
    vae = encoder + decoder + 1024 * 256 * 2 + 256 * 20 + 10 * 256
    d_input = 10 if branch.position == "latent" else 256
    return 2 * d_input * branch.width / vae


def process_seconds(work: Callable[[], object]) -> float:
    """Return the CPU time that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def main() -> None:
    """Print the table of ratios."""
    keep_freed_memory()
    images, _ = split_images(load(source="rendered"), CONFIG)
    batches = [b.float() for b in images.split(CONFIG.batch_size)]
    print(
        f"device cpu ({platform.processor() or platform.machine()}), float32, 1 thread, torch "
        f"{torch.__version__}, {len(images)} images in batches of {CONFIG.batch_size}"
    )
    print("| sparse layer | bare VAE, images/s | ours, images/s | ratio | multiplications |")
    print("|---|---|---|---|---|")
    for position in POSITIONS:
        for width in (500, 1000, 2048):
            branch = Branch(position=position, width=width)
            config = TrainingConfig(n_train=1024, n_heldout=2, threads=1, branches=(branch,))
            model = VAESAE(1, config.branches, 0)
            ours = make_optimizer(model, config)
            vae = VAE.create(1, generator_for(0, "vae"))
            bare = torch.optim.Adam(vae.parameters(), lr=1e-3, fused=True)
            times: dict[str, list[float]] = {"bare": [], "ours": []}
            with thread_count(1):
                for epoch in range(1, ROUNDS + 2):  # the first round warms up
                    times["bare"].append(process_seconds(lambda: bare_epoch(vae, bare, batches)))
                    times["ours"].append(
                        process_seconds(lambda: train_epoch(model, ours, images, 1, config, epoch))
                    )
            best = {name: min(seconds[1:]) for name, seconds in times.items()}
            print(
                f"| {branch.name} | {len(images) / best['bare']:.0f} "
                f"| {len(images) / best['ours']:.0f} | {best['ours'] / best['bare']:.3f} "
                f"| {1 + multiplications(branch):.3f} |"
            )


if __name__ == "__main__":
    main()
