"""How fast are 3D Shapes images composed, against casting rays for each image?

Peers: rays cast and averaged for each image, with torch (the exact drawing that calibration uses),
and the same maps summed by one indexing operation over a batch. Same process, images asserted
close (casting) or equal (indexing) first, interleaved rounds, minimum of process time. Limit:
reading four 16-bit maps and writing one 8-bit image, 9 bytes for each of 12,288 values, at the copy
bandwidth measured here.

Run: python benchmarks/data/shapes3d.py          (add --all to draw all images once)
"""

import platform
import time

import numpy as np
import torch

from seethrough.data import shapes3d
from seethrough.data.shapes3d_calibration import draw
from seethrough.data.shapes3d_factors import FACTOR_SIZES
from seethrough.data.shapes3d_scene import Scene
from seethrough.performance.clock import copy_bandwidth, process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

N_IMAGES = 4096
N_CAST = 16
N_INDEXED = 256
TOTAL = 480_000
BLOCK = 2048


def sample() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (N_IMAGES,), generator=generator) for s in FACTOR_SIZES]
    return torch.stack(columns, dim=1)


def by_indexing(factor_classes: torch.Tensor) -> torch.Tensor:
    geometries, rows = shapes3d._map_rows(factor_classes)
    total = shapes3d._maps_with(geometries)[rows].sum(dim=0, dtype=torch.int16)
    half = 1 << (shapes3d.BITS_BELOW_ONE - 1)
    levels = ((total + half) >> shapes3d.BITS_BELOW_ONE).clamp(0, 255)
    return levels.to(torch.uint8).view(-1, *shapes3d.IMAGE_SHAPE)


def main() -> None:
    parser = benchmark_parser("Benchmark of the 3D Shapes renderer.", rounds=5)
    parser.add_argument("--all", action="store_true", help="draw all images once")
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    factor_classes = sample()
    first = process_seconds(lambda: shapes3d.render(factor_classes))
    drawn = shapes3d.render(factor_classes)
    few = factor_classes[:N_CAST]
    assert (draw(Scene(), few) - drawn[:N_CAST]).abs().max() < 0.55
    some = factor_classes[:N_INDEXED]
    assert torch.equal(by_indexing(some), drawn[:N_INDEXED])
    best = [np.inf] * 3
    for _ in range(arguments.rounds):
        seconds = [
            process_seconds(lambda: draw(Scene(), few)) / N_CAST,
            process_seconds(lambda: by_indexing(some)) / N_INDEXED,
            process_seconds(lambda: shapes3d.render(factor_classes)) / N_IMAGES,
        ]
        best = [min(pair) for pair in zip(best, seconds, strict=True)]
    cast, indexed, own = (1e6 * s for s in best)
    bandwidth = copy_bandwidth()
    print(
        f"device cpu ({platform.machine()}), int16 to uint8, 1 thread, {N_IMAGES} images, torch "
        f"{torch.__version__}, copy {bandwidth / 1e9:.1f} GB/s"
    )
    print(f"rays of all geometries: {first - own * 1e-6 * N_IMAGES:.1f} s of processor time, once")
    print("| casting rays, us | indexing, us | ours, us | ratios | limit, us |")
    print("|---|---|---|---|---|")
    print(
        f"| {cast:.0f} | {indexed:.0f} | {own:.1f} | {cast / own:.0f} x, {indexed / own:.1f} x | "
        f"{1e6 * 9 * 12_288 / bandwidth:.1f} |"
    )
    write_report(
        name="shapes3d",
        what="Composing images of 3D Shapes",
        command="python benchmarks/data/shapes3d.py",
        limit="four maps of 16 bits read and an image written once, at the bandwidth of a copy",
        measurements=[
            Measurement(
                case="1,000 images",
                shapes="64 x 64 pixels, 3 colours",
                dtype="int16 to uint8",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=own,  # microseconds an image are milliseconds for a thousand
                peers={"casting rays": cast, "indexing": indexed},
                limit=1e6 * 9 * 12_288 / bandwidth,
            )
        ],
        folder=arguments.out,
    )
    if arguments.all:
        torch.set_num_threads(threads)
        dataset = shapes3d.RenderedShapes3D()
        started, cpu = time.perf_counter(), time.process_time()
        for index in torch.split(torch.arange(TOTAL), BLOCK):
            dataset.images(index)
        print(
            f"all {TOTAL} images, {threads} threads: {time.perf_counter() - started:.1f} s "
            f"({time.process_time() - cpu:.1f} s of processor time)"
        )


if __name__ == "__main__":
    main()
