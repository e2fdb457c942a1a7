"""What does the sparse layer cost? Our training epoch against the bare VAE's step on its batches.

Peer: the same VAE written as a plain PyTorch loop (forward, backward, fused Adam), no sparse layer,
no measurement. Same process, interleaved rounds, minimum of process time per image.
Goal: at most 1.15 x the bare VAE. Limit: 1.0 plus the sparse layer's own multiplications.

Run: python benchmarks/models/train_vae_sae.py
"""

import platform
import time
from dataclasses import replace

import torch

from seethrough.data.dsprites import load
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.initialise import generator_for
from seethrough.models.train_vae_sae import make_optimizer, split_images, thread_count, train_epoch
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import VAE, negative_elbo, sample_latents
from seethrough.models.vae_sae import POSITIONS, VAESAE, Branch

ROUNDS = 5
CONFIG = TrainingConfig(n_train=1024, n_heldout=2, batch_size=64, threads=1)


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
        loss.backward()
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


def compare(
    branch: Branch, images: torch.Tensor, batches: list[torch.Tensor]
) -> tuple[float, float]:
    """Return the CPU seconds of the best bare epoch and of our best epoch, rounds interleaved."""
    config = replace(CONFIG, branches=(branch,))
    model = VAESAE(1, config.branches, 0)
    ours = make_optimizer(model, config)
    vae = VAE.create(1, generator_for(0, "vae"))
    bare = torch.optim.Adam(vae.parameters(), lr=config.learning_rate, fused=True)
    times: list[tuple[float, float]] = []
    with thread_count(config.threads):
        for epoch in range(1, ROUNDS + 2):  # the first round warms up
            start = time.process_time()
            bare_epoch(vae, bare, batches)
            middle = time.process_time()
            train_epoch(model, ours, images, 1, config, epoch)
            times.append((middle - start, time.process_time() - middle))
    return min(t[0] for t in times[1:]), min(t[1] for t in times[1:])


def main() -> None:
    """Print the table of ratios."""
    keep_freed_memory()
    images, _ = split_images(load(), CONFIG)
    batches = [batch.float() for batch in images.split(CONFIG.batch_size)]
    print(
        f"device cpu ({platform.processor() or platform.machine()}), float32, 1 thread, torch "
        f"{torch.__version__}, {len(images)} images in batches of {CONFIG.batch_size}"
    )
    print("| sparse layer | bare VAE, images/s | ours, images/s | ratio | multiplications |")
    print("|---|---|---|---|---|")
    for position in POSITIONS:
        for width in (500, 1000, 2048):
            branch = Branch(position=position, width=width)
            bare, ours = compare(branch, images, batches)
            print(
                f"| {branch.name} | {len(images) / bare:.0f} | {len(images) / ours:.0f} "
                f"| {ours / bare:.3f} | {1 + multiplications(branch):.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
