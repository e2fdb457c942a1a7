"""How fast is the class token's row of attention rollout, against the whole matrix product?

Peer: the published procedure, a product of T x T matrices over blocks, of which one row is read.
Same process, equality asserted first, interleaved rounds, minimum of process time. Goal: at least
20 x on 16 images, 197 tokens and 12 blocks. Limit: reading every attention matrix once, at the copy
bandwidth measured here.

Run: python benchmarks/attribution/attention_rollout.py
"""

import argparse
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor

from seethrough.attribution.attention_rollout import rollout_row


def sample(n_images: int, n_tokens: int, n_blocks: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (n_images, n_tokens, n_tokens)
    return [torch.randn(shape, generator=generator).softmax(dim=2) for _ in range(n_blocks)]


def by_matrix_chain(attentions: list[Tensor]) -> Tensor:
    eye = torch.eye(attentions[0].shape[1])
    product = (attentions[0] + eye) / 2
    for attention in attentions[1:]:
        product = torch.bmm((attention + eye) / 2, product)
    return product[:, 0]


def process_seconds(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def read_bandwidth() -> float:
    """Return bytes read per second by a large sum on one thread."""
    source = torch.ones(1 << 25)
    return source.nbytes / min(process_seconds(source.sum) for _ in range(5))


def main() -> None:
    parser = argparse.ArgumentParser(description="Benchmark of attention rollout.")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--tokens", type=int, nargs="+", default=[65, 197])
    parser.add_argument("--blocks", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = read_bandwidth()
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, {arguments.images} images, "
        f"{arguments.blocks} blocks, torch {torch.__version__}, read {bandwidth / 1e9:.1f} GB/s"
    )
    print("| tokens | matrix chain, ms | ours, ms | ratio | limit, ms |")
    print("|---|---|---|---|---|")
    for n_tokens in arguments.tokens:
        attentions = sample(arguments.images, n_tokens, arguments.blocks)
        torch.testing.assert_close(rollout_row(attentions), by_matrix_chain(attentions))
        chain = own = float("inf")
        for _ in range(arguments.rounds):
            chain = min(chain, process_seconds(lambda: by_matrix_chain(attentions)))  # noqa: B023
            own = min(own, process_seconds(lambda: rollout_row(attentions)))  # noqa: B023
        limit = sum(attention.nbytes for attention in attentions) / bandwidth
        print(
            f"| {n_tokens} | {1e3 * chain:.1f} | {1e3 * own:.2f} | {chain / own:.0f} x | "
            f"{1e3 * limit:.2f} |"
        )


if __name__ == "__main__":
    main()
