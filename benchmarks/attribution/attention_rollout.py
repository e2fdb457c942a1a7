"""How fast is the class token's row of attention rollout, against the whole matrix product?

Peer: the published procedure, a product of T x T matrices over blocks, of which one row is read.
Same process, equality asserted first, interleaved rounds, minimum of process time. Goal: at least
20 x on 16 images, 197 tokens and 12 blocks. Limit: reading every attention matrix once, at the copy
bandwidth measured here.

Run: python benchmarks/attribution/attention_rollout.py
"""

import platform

import torch
from torch import Tensor

from seethrough.attribution.attention_rollout import rollout_row
from seethrough.performance.clock import milliseconds, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report


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


def read_bandwidth() -> float:
    """Return bytes read per second by a large sum on one thread."""
    source = torch.ones(1 << 25)
    return source.nbytes / min(process_seconds(source.sum) for _ in range(5))


def main() -> None:
    parser = benchmark_parser("Benchmark of attention rollout.", rounds=7)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--tokens", type=int, nargs="+", default=[65, 197])
    parser.add_argument("--blocks", type=int, default=12)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = read_bandwidth()
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, {arguments.images} images, "
        f"{arguments.blocks} blocks, torch {torch.__version__}, read {bandwidth / 1e9:.1f} GB/s"
    )
    print("| tokens | matrix chain, ms | ours, ms | ratio | limit, ms |")
    print("|---|---|---|---|---|")
    found: list[Measurement] = []
    for n_tokens in arguments.tokens:
        attentions = sample(arguments.images, n_tokens, arguments.blocks)
        torch.testing.assert_close(rollout_row(attentions), by_matrix_chain(attentions))
        chain, own = milliseconds(
            {
                "chain": lambda: by_matrix_chain(attentions),  # noqa: B023
                "ours": lambda: rollout_row(attentions),  # noqa: B023
            },
            arguments.rounds,
        ).values()
        limit = 1e3 * sum(attention.nbytes for attention in attentions) / bandwidth
        print(f"| {n_tokens} | {chain:.1f} | {own:.2f} | {chain / own:.0f} x | {limit:.2f} |")
        found.append(
            Measurement(
                case=f"{n_tokens} tokens",
                shapes=f"{arguments.images} images, {arguments.blocks} blocks",
                dtype="float32",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=own,
                peers={"matrix chain": chain},
                limit=limit,
                goal_faster=20.0 if n_tokens == 197 else None,
            )
        )
    write_report(
        name="attention_rollout",
        what="The class token's row of attention rollout",
        command="python benchmarks/attribution/attention_rollout.py",
        limit="every attention matrix read once, at the bandwidth of a sum",
        measurements=found,
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
