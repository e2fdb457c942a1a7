"""What do streaming statistics of units cost on top of the forward pass?

Peers: the forward pass alone; store, then reduce (every activation of every batch is kept, the same
statistics are taken at the end); the same streaming with the class sums by a loop over classes.
Same process, equality asserted first, interleaved rounds, minimum of process time. Aim: at most 3 %
on top of the forward pass. Beside the difference of two forward passes, which a busy machine
blurs, stands the time spent on statistics in one pass. Limit: reading every activation once, at
the copy bandwidth measured here. Models have random weights and LayerScale.

Run: python benchmarks/neurons/activation_statistics.py
"""

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from seethrough.models import torchvision_compatibility  # noqa: F401

# isort: split
from timm.models.vision_transformer import VisionTransformer

from seethrough.neurons.activation_statistics import (
    ColumnStatistics,
    StatisticsTable,
    observe_batches,
)
from seethrough.neurons.sites import Site, recorded, sites_of, visited
from seethrough.neurons.token_readings import token_readings
from seethrough.performance.clock import copy_bandwidth, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

N_BATCHES = 2


@dataclass(frozen=True)
class Case:
    name: str
    settings: dict[str, int]
    blocks: tuple[int, ...]
    batch_size: int
    n_classes: int


TINY = {"img_size": 224, "patch_size": 16, "embed_dim": 192, "depth": 12, "num_heads": 3}
SMALL = {"img_size": 64, "patch_size": 8, "embed_dim": 128, "depth": 6, "num_heads": 4}
CASES = (
    Case("DeiT-Tiny, 224", TINY, (2, 7, 11), 16, 1000),
    Case("DeiT-Tiny, 224", TINY, tuple(range(12)), 16, 1000),
    Case("small, 64", SMALL, (1, 3, 5), 32, 320),
    Case("small, 64", SMALL, tuple(range(6)), 32, 320),
)

Batches = list[tuple[torch.Tensor, torch.Tensor]]


def build(case: Case) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        **case.settings, num_classes=case.n_classes, init_values=0.1, no_embed_class=True
    ).eval()


def data(case: Case) -> Batches:
    generator = torch.Generator().manual_seed(0)
    size, n = case.settings["img_size"], case.batch_size
    return [
        (
            torch.randn(n, 3, size, size, generator=generator),
            torch.randint(case.n_classes, (n,), generator=generator),
        )
        for _ in range(N_BATCHES)
    ]


@torch.no_grad()
def forward_only(model: VisionTransformer, batches: Batches) -> None:
    for images, _ in batches:
        model(images)


@torch.no_grad()
def store_then_reduce(
    model: VisionTransformer, batches: Batches, sites: tuple[Site, ...], n_classes: int
) -> StatisticsTable:
    stored: dict[Site, list[torch.Tensor]] = {site: [] for site in sites}
    with recorded(model, sites) as at:
        for images, _ in batches:
            model(images)
            for site in sites:
                stored[site].append(at[site].clone())
    table = StatisticsTable.none(model, sites, n_classes)
    readings = {site: token_readings(site, torch.cat(stored[site])) for site in sites}
    table.observe(readings, torch.cat([labels for _, labels in batches]))
    return table


@torch.no_grad()
def loop_over_classes(
    model: VisionTransformer, batches: Batches, sites: tuple[Site, ...], n_classes: int
) -> StatisticsTable:
    """As the library, but class sums by one masked sum per class, for each site by itself."""
    table = StatisticsTable.none(model, sites, n_classes)
    statistics = table.by_site()
    names = ("class_token", "patch_maximum", "token_mean")

    def observe(site: Site, vectors: torch.Tensor) -> None:
        readings, found = token_readings(site, vectors), statistics[site]
        for name in names:
            values, into = getattr(readings, name).double(), getattr(found, name)
            into.total_squares.add_(values.square().sum(dim=0))
            torch.maximum(into.maximum, values.amax(dim=0), out=into.maximum)
            into.n_positive.add_((values > 0).sum(dim=0))
            for label in range(n_classes):
                into.class_totals[label] += values[labels == label].sum(dim=0)

    with visited(model, sites, observe):
        for images, labels in batches:
            model(images)
            for label in range(n_classes):
                table.class_counts[label] += (labels == label).sum()
    return table


@torch.no_grad()
def seconds_inside(
    model: VisionTransformer, batches: Batches, sites: tuple[Site, ...], table: StatisticsTable
) -> float:
    """Return the process time that statistics take within and after forward passes."""
    readings, inside = {}, 0.0

    def read(site: Site, vectors: torch.Tensor) -> None:
        nonlocal inside
        started = time.process_time()
        readings[site] = token_readings(site, vectors)
        inside += time.process_time() - started

    with visited(model, sites, read):
        for images, labels in batches:
            model(images)
            inside += process_seconds(lambda: table.observe(readings, labels))  # noqa: B023
    return inside


def assert_equal(one: StatisticsTable, other: StatisticsTable) -> None:
    assert torch.equal(one.class_counts, other.class_counts)
    pairs = zip(one.by_site().values(), other.by_site().values(), strict=True)
    for pair in pairs:
        for name in ("class_token", "patch_maximum", "token_mean"):
            for field in ColumnStatistics.__dataclass_fields__:
                values = (getattr(getattr(found, name), field) for found in pair)
                torch.testing.assert_close(*values, rtol=1e-5, atol=1e-6)


@torch.no_grad()
def activation_bytes(model: VisionTransformer, batches: Batches, sites: tuple[Site, ...]) -> int:
    with recorded(model, sites) as at:
        model(batches[0][0])
    return N_BATCHES * sum(vectors.nbytes for vectors in at.values())


def measure(case: Case, rounds: int, bandwidth: float) -> Measurement:
    model, batches = build(case), data(case)
    sites = sites_of(model, case.blocks)
    # Allocating the table is no part of a batch.
    table = StatisticsTable.none(model, sites, case.n_classes)

    observe_batches(model, batches, table)
    assert_equal(table, store_then_reduce(model, batches, sites, case.n_classes))
    assert_equal(table, loop_over_classes(model, batches, sites, case.n_classes))
    contestants: list[Callable[[], object]] = [
        lambda: forward_only(model, batches),
        lambda: observe_batches(model, batches, table),
        lambda: store_then_reduce(model, batches, sites, case.n_classes),
        lambda: loop_over_classes(model, batches, sites, case.n_classes),
    ]
    best, inside = [float("inf")] * len(contestants), float("inf")
    for _ in range(rounds):
        best = [min(b, process_seconds(c)) for b, c in zip(best, contestants, strict=True)]
        inside = min(inside, seconds_inside(model, batches, sites, table))
    forward, streamed, stored, looped = best
    limit = activation_bytes(model, batches, sites) / bandwidth
    print(
        f"| {case.name} | {len(case.blocks)} | {case.batch_size} | {1e3 * forward:.1f} | "
        f"{1e3 * inside:.2f} | {100 * inside / forward:.2f} % | "
        f"{100 * (streamed / forward - 1):.2f} % | {100 * (stored / forward - 1):.1f} % | "
        f"{100 * (looped / forward - 1):.1f} % | {1e3 * limit:.2f} |"
    )
    return Measurement(
        case=f"{case.name}, {len(case.blocks)} blocks",
        shapes=f"{N_BATCHES} batches of {case.batch_size} images, {case.n_classes} classes",
        dtype="float32",
        device="cpu",
        threads=1,
        rounds=rounds,
        ours=1e3 * (forward + inside),  # the difference of two passes is noise on a busy machine
        peers={"store, then reduce": 1e3 * stored, "loop over classes": 1e3 * looped},
        limit=1e3 * forward,
        goal_limit=1.03,
        note=f"whole passes {100 * (streamed / forward - 1):+.2f} %, reading every activation once "
        f"{1e3 * limit:.2f} ms",
    )


def main() -> None:
    parser = benchmark_parser("Benchmark of streaming unit statistics.", rounds=7)
    parser.add_argument("--batch-size", type=int, help="instead of the sizes of the cases")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    bandwidth = copy_bandwidth()
    print(
        f"device cpu ({platform.machine()}), float32, 1 thread, {N_BATCHES} batches, "
        f"torch {torch.__version__}, copy {bandwidth / 1e9:.1f} GB/s; percentages are time on top "
        "of the forward pass alone"
    )
    print(
        "| model | blocks | batch | forward, ms | statistics, ms | statistics | ours | "
        "store then reduce | loop over classes | limit, ms |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    cases = [replace(c, batch_size=arguments.batch_size or c.batch_size) for c in CASES]
    write_report(
        name="activation_statistics",
        what="Streaming statistics of units on top of a forward pass",
        command="python benchmarks/neurons/activation_statistics.py",
        limit="the forward pass alone",
        measurements=[measure(case, arguments.rounds, bandwidth) for case in cases],
        packages=("timm",),
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
