"""How fast are Wanda's masks, against the published procedure and a sort of row after row?

Unstructured, per output row, 70 %: the peers sort every row completely (all rows in one stable
sort and a scatter, as published, and one row after the other). 2:4: the peer is the published loop
of topk over every four columns. Same process, equal masks asserted first, interleaved rounds,
minimum of process time. Goal: at least 5 x the published procedure on every shape of DeiT-B.
Limit: reading the weights and writing the masks once, at the copy bandwidth measured here.

Run: python benchmarks/pruning/wanda.py
"""

import platform
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from seethrough.performance.clock import copy_bandwidth, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.wanda import wanda_mask, wanda_scores

SHAPES = {"qkv": (2304, 768), "proj": (768, 768), "fc1": (3072, 768), "fc2": (768, 3072)}
Work = Callable[[Tensor, Tensor], Tensor]


def sample(shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    norm = torch.rand(shape[1], generator=generator) + 0.1
    return 0.02 * torch.randn(shape, generator=generator), norm


def published(weight: Tensor, norm: Tensor, sparsity: float) -> Tensor:
    scores = weight.abs() * norm.reshape(1, -1)
    gone = torch.zeros_like(scores) == 1
    order = torch.sort(scores, dim=-1, stable=True).indices
    gone.scatter_(1, order[:, : int(scores.shape[1] * sparsity)], True)
    return ~gone


def row_after_row(weight: Tensor, norm: Tensor, sparsity: float) -> Tensor:
    kept = torch.ones_like(weight, dtype=torch.bool)
    for row, scores in zip(kept, weight.abs() * norm, strict=True):
        row[torch.sort(scores, stable=True).indices[: int(len(scores) * sparsity)]] = False
    return kept


def published_2_4(weight: Tensor, norm: Tensor) -> Tensor:
    scores = weight.abs() * norm.reshape(1, -1)
    gone = torch.zeros_like(scores) == 1
    for first in range(0, scores.shape[1], 4):
        lowest = torch.topk(scores[:, first : first + 4], 2, dim=1, largest=False).indices
        gone.scatter_(1, first + lowest, True)
    return ~gone


def milliseconds(works: list[Work], weight: Tensor, norm: Tensor, rounds: int) -> list[float]:
    """Return the shortest time of each, taking turns; all must give the mask of the last."""
    own = works[-1](weight, norm)
    for work in works[:-1]:
        assert torch.equal(work(weight, norm), own)
    best = [np.inf] * len(works)
    for _ in range(rounds):
        for i, work in enumerate(works):
            best[i] = min(best[i], process_seconds(lambda: work(weight, norm)))  # noqa: B023
    return [1e3 * seconds for seconds in best]


def measure(
    title: str, peers: dict[str, Work], own: Work, rounds: int, bandwidth: float
) -> Measurement:
    """Print the times of every matrix of a block, and return those of all four."""
    print(f"\n{title}\n\n| matrix | {', ms | '.join(peers)}, ms | ours, ms | ratios | limit, ms |")
    print("|---" * (len(peers) + 4) + "|")
    total = np.zeros(len(peers) + 1)
    n_weights = 0
    for name, shape in SHAPES.items():
        weight, norm = sample(shape)
        times = np.array(milliseconds([*peers.values(), own], weight, norm, rounds))
        print(row(f"{name} {shape[0]} x {shape[1]}", times, weight.numel(), bandwidth))
        total += times
        n_weights += weight.numel()
    print(row("one block", total, n_weights, bandwidth))
    return Measurement(
        case=title,
        shapes=f"the four matrices of a DeiT-B block, {n_weights:,} weights",
        dtype="float32",
        device="cpu",
        threads=1,
        rounds=rounds,
        ours=float(total[-1]),
        peers={name: float(time) for name, time in zip(peers, total, strict=False)},
        limit=limit_ms(n_weights, bandwidth),
        goal_faster=5.0,
        goal_peer=next(iter(peers)),
    )


def row(name: str, times: np.ndarray, n_weights: int, bandwidth: float) -> str:
    ratios = ", ".join(f"{t / times[-1]:.1f} x" for t in times[:-1])
    limit = limit_ms(n_weights, bandwidth)
    return f"| {name} | {' | '.join(f'{t:.1f}' for t in times)} | {ratios} | {limit:.2f} |"


def limit_ms(n_weights: int, bandwidth: float) -> float:
    return 1e3 * 5 * n_weights / bandwidth  # 4 bytes of weight, 1 of mask


def main() -> None:
    parser = benchmark_parser("Benchmark of Wanda's masks.", rounds=5)
    parser.add_argument("--sparsity", type=float, default=0.7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = copy_bandwidth()
    print(
        f"device cpu ({platform.machine()}), weights float32, 1 thread, torch "
        f"{torch.__version__}, numpy {np.__version__}, copy {bandwidth / 1e9:.1f} GB/s"
    )
    sparsity = arguments.sparsity
    rows = measure(
        f"per row, {sparsity:.0%} removed",
        {
            "published stable sort": lambda w, n: published(w, n, sparsity),
            "row after row": lambda w, n: row_after_row(w, n, sparsity),
        },
        lambda w, n: wanda_mask(w, n, sparsity),
        arguments.rounds,
        bandwidth,
    )
    groups = measure(
        "2:4",
        {"published loop of topk": published_2_4},
        lambda w, n: semi_structured_mask(wanda_scores(w, n)),
        arguments.rounds,
        bandwidth,
    )
    write_report(
        name="wanda",
        what="Wanda's masks",
        command="python benchmarks/pruning/wanda.py",
        limit="weights read and masks written once, at the bandwidth of a copy",
        measurements=[rows, groups],
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
