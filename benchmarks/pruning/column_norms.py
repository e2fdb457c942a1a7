"""What do streaming column norms cost on top of the forward pass they ride on?

The pass runs one block of DeiT-B width (768, MLP 3072, 12 heads, 197 tokens) with and without
observers on its four prunable layers; depth changes both alike. The peer keeps every activation
and takes the norms at the end. Same process, equal norms asserted first, interleaved rounds,
minimum of process time. Where the machine is busy the difference of two passes is noise, so the
observers are also timed on their own inside the pass.
Goal: at most 3 % on top. Limit: reading every activation once more, at the copy bandwidth measured
here.

Run: python benchmarks/pruning/column_norms.py
"""

import argparse
import platform
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from seethrough.models import torchvision_compatibility  # noqa: F401

# isort: split
import timm
from timm.models.vision_transformer import VisionTransformer

from seethrough.performance.clock import copy_bandwidth, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report
from seethrough.pruning.column_norms import (
    RunningSquares,
    column_norms,
    observed_inputs,
    run_blocks,
)
from seethrough.pruning.prunable_layers import prunable_layers


def one_block() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(depth=1, init_values=0.1, no_embed_class=True).eval()


@torch.no_grad()
def forward(model: nn.Module, batches: list[Tensor]) -> None:
    for images in batches:
        run_blocks(model, images, 0)


@torch.no_grad()
def stored(model: nn.Module, batches: list[Tensor]) -> dict[str, Tensor]:
    kept: dict[str, list[Tensor]] = {name: [] for name in prunable_layers(model)}
    handles = [
        layer.register_forward_pre_hook(
            lambda _, inputs, name=name: kept[name].append(inputs[0].clone())
        )
        for name, layer in prunable_layers(model).items()
    ]
    for images in batches:
        run_blocks(model, images, 0)
    for handle in handles:
        handle.remove()
    return {
        name: torch.cat(parts).double().norm(dim=(0, 1)).float() for name, parts in kept.items()
    }


@torch.no_grad()
def seconds_in_observers(model: nn.Module, batches: list[Tensor]) -> float:
    """Return the process time of the observers alone, on the clock inside one pass."""
    spent = 0.0

    def observer(squares: RunningSquares) -> Callable[[Tensor], None]:
        def timed(activations: Tensor) -> None:
            nonlocal spent
            spent += process_seconds(lambda: squares.add(activations))

        return timed

    layers = prunable_layers(model).values()
    cpu = torch.device("cpu")
    observers = {layer: observer(RunningSquares(layer.in_features, cpu)) for layer in layers}
    with observed_inputs(observers):
        forward(model, batches)
    return spent


def shortest(
    plain: Callable[[], object], other: Callable[[], object], arguments: argparse.Namespace
) -> tuple[float, float]:
    """Return the shortest time of both in ms; they swap places each round, as memory is reused."""
    best = {plain: np.inf, other: np.inf}
    for number in range(arguments.rounds):
        for work in (plain, other) if number % 2 else (other, plain):
            best[work] = min(best[work], 1e3 * process_seconds(work))
    return best[plain], best[other]


def main() -> None:
    parser = benchmark_parser("Benchmark of streaming column norms.", rounds=12)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--batches", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    model, generator = one_block(), torch.Generator().manual_seed(0)
    shape = (arguments.batch_size, 3, 224, 224)
    batches = [torch.randn(shape, generator=generator) for _ in range(arguments.batches)]
    layers = prunable_layers(model)
    norms, expected = column_norms(model, batches, layers), stored(model, batches)
    for name, norm in norms.items():
        torch.testing.assert_close(norm, expected[name], rtol=1e-5, atol=0.0)
    plain, own = shortest(
        lambda: forward(model, batches), lambda: column_norms(model, batches, layers), arguments
    )
    again, stores = shortest(
        lambda: forward(model, batches), lambda: stored(model, batches), arguments
    )
    inside = 1e3 * min(seconds_in_observers(model, batches) for _ in range(arguments.rounds))
    n_activations = 197 * sum(map(len, batches)) * sum(len(norm) for norm in norms.values())
    bandwidth = copy_bandwidth()
    limit = 1e3 * 4 * n_activations / bandwidth
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, {arguments.batches} batches of "
        f"{arguments.batch_size}, torch {torch.__version__}, timm {timm.__version__}, "
        f"copy {bandwidth / 1e9:.1f} GB/s"
    )
    print("| pass | ms | on top of the forward pass |")
    print("|---|---|---|")
    print(f"| forward alone | {plain:.0f} | |")
    print(f"| streaming norms | {own:.0f} | {own / plain - 1:+.1%} |")
    print(f"| the same, observers alone | {inside:.1f} | {inside / plain:+.1%} |")
    print(f"| stored activations, norms at the end | {stores:.0f} | {stores / again - 1:+.1%} |")
    print(f"| limit: every activation read once | {limit:.1f} | {limit / plain:+.1%} |")
    write_report(
        name="column_norms",
        what="Streaming column norms on top of a forward pass",
        command="python benchmarks/pruning/column_norms.py",
        limit="the forward pass alone",
        measurements=[
            Measurement(
                case="forward pass with norms",
                shapes=f"one block of width 768, {arguments.batches} batches of "
                f"{arguments.batch_size} images of 224^2",
                dtype="float32",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=own,
                # Of two pairs of runs: what storing adds, on top of the same forward pass.
                peers={"activations stored, norms at the end": plain * stores / again},
                limit=plain,
                goal_limit=1.03,
                note=f"the observers alone take {inside:.1f} ms, reading every activation once "
                f"{limit:.1f} ms",
            )
        ],
        packages=("timm",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
