"""How fast are sprites drawn, against evaluating the definition on every pixel?

Peers: the definition on all 4,096 pixels of each image, in numpy one image at a time, and in torch
for a batch. Same process, equality asserted first, interleaved rounds, minimum of process time.
Goal: all 737,280 images packed within 60 s on two cores. Limit: writing 4,096 bytes per image, at
the fill bandwidth measured here.

Run: python benchmarks/data/dsprites.py          (add --all to draw and pack the whole set once)
"""

import platform
import time

import numpy as np
import torch

from seethrough.data import dsprites
from seethrough.data.dsprites_factors import FACTOR_SIZES, FACTOR_VALUES
from seethrough.performance.clock import process_seconds
from seethrough.performance.report import Measurement, benchmark_parser, write_report

N_IMAGES = 2048
TOTAL = 737_280


def sample() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    columns = [torch.randint(0, s, (N_IMAGES,), generator=generator) for s in FACTOR_SIZES]
    return torch.stack(columns, dim=1)


def contains_numpy(shape: int, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    if shape == 0:
        return (np.abs(u) <= 9.6) & (np.abs(v) <= 9.6)
    if shape == 1:
        return (u / 12.8) ** 2 + (v / 7.2) ** 2 <= 1
    sine = np.cbrt(np.minimum(np.abs(u) / 9.6, 1))
    cosine = np.sqrt(1 - sine**2)
    t = np.arctan2(sine, cosine)
    even = -0.662 * (-5 * np.cos(2 * t) - np.cos(4 * t)) - 1.44
    odd = 0.662 * (13 * np.cos(t) - 2 * np.cos(3 * t))
    return (np.abs(u) <= 9.6) & (np.abs(v - even) <= odd)


def by_image(factor_classes: torch.Tensor) -> np.ndarray:
    y, x = np.mgrid[0:64, 0:64].astype(float)
    images = np.empty((len(factor_classes), 1, 64, 64), dtype=np.uint8)
    for n, row in enumerate(factor_classes.tolist()):
        _, scale, angle, pos_x, pos_y = (FACTOR_VALUES[f][c] for f, c in enumerate(row))
        dx, dy = x - (15.5 + 32 * pos_x), y - (15.5 + 32 * pos_y)
        u = (np.cos(angle) * dx - np.sin(angle) * dy) / scale
        v = (np.sin(angle) * dx + np.cos(angle) * dy) / scale
        images[n, 0] = contains_numpy(row[0], u, v)
    return images


def by_batch(factor_classes: torch.Tensor) -> torch.Tensor:
    shape, *others = factor_classes.unbind(dim=1)
    tables = [torch.tensor(values, dtype=torch.float64) for values in FACTOR_VALUES[1:]]
    scale, angle, pos_x, pos_y = (t[c][:, None, None] for t, c in zip(tables, others, strict=True))
    pixel = torch.arange(64, dtype=torch.float64)
    dx, dy = pixel - (15.5 + 32 * pos_x), pixel[:, None] - (15.5 + 32 * pos_y)
    u = (angle.cos() * dx - angle.sin() * dy) / scale
    v = (angle.sin() * dx + angle.cos() * dy) / scale
    images = torch.empty(len(shape), 1, 64, 64, dtype=torch.uint8)
    shapes = (dsprites.square_contains, dsprites.ellipse_contains, dsprites.heart_contains)
    for number, contains in enumerate(shapes):
        rows = shape == number
        images[rows, 0] = contains(u[rows], v[rows]).to(torch.uint8)
    return images


def fill_bandwidth() -> float:
    """Return bytes written per second by filling a large array on one thread."""
    target = torch.empty(1 << 26, dtype=torch.uint8)
    return target.nbytes / min(process_seconds(lambda: target.fill_(1)) for _ in range(5))


def main() -> None:
    parser = benchmark_parser("Benchmark of the dSprites renderer.", rounds=5)
    parser.add_argument("--all", action="store_true", help="draw and pack all images once")
    arguments = parser.parse_args()
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    factor_classes = sample()
    drawn = dsprites.render(factor_classes)
    assert torch.equal(drawn, by_batch(factor_classes))
    assert np.array_equal(drawn.numpy(), by_image(factor_classes))
    best = [np.inf] * 3
    for _ in range(arguments.rounds):
        seconds = [
            process_seconds(lambda: by_image(factor_classes)),
            process_seconds(lambda: by_batch(factor_classes)),
            process_seconds(lambda: dsprites.render(factor_classes)),
        ]
        best = [min(pair) for pair in zip(best, seconds, strict=True)]
    image, batch, own = (1e6 * s / N_IMAGES for s in best)
    bandwidth = fill_bandwidth()
    print(
        f"device cpu ({platform.machine()}), float64 to uint8, 1 thread, {N_IMAGES} images, torch "
        f"{torch.__version__}, numpy {np.__version__}, fill {bandwidth / 1e9:.1f} GB/s"
    )
    print("| numpy by image, us | torch by batch, us | ours, us | ratios | limit, us |")
    print("|---|---|---|---|---|")
    print(
        f"| {image:.0f} | {batch:.0f} | {own:.1f} | {image / own:.0f} x, {batch / own:.1f} x | "
        f"{1e6 * 4096 / bandwidth:.2f} |"
    )
    write_report(
        name="dsprites",
        what="Drawing sprites",
        command="python benchmarks/data/dsprites.py",
        limit="4,096 bytes an image written once",
        measurements=[
            Measurement(
                case=f"{N_IMAGES:,} images",
                shapes="64 x 64 pixels",
                dtype="float64 to uint8",
                device="cpu",
                threads=1,
                rounds=arguments.rounds,
                ours=1e3 * best[2],
                peers={"numpy, image by image": 1e3 * best[0], "torch, a batch": 1e3 * best[1]},
                limit=1e3 * N_IMAGES * 4096 / bandwidth,
            )
        ],
        folder=arguments.out,
    )
    if arguments.all:
        torch.set_num_threads(threads)
        started, cpu = time.perf_counter(), time.process_time()
        dataset = dsprites.render_all_packed()
        print(
            f"all {TOTAL} images packed, {threads} threads: {time.perf_counter() - started:.1f} s "
            f"({time.process_time() - cpu:.1f} s of processor time), "
            f"{dataset.bits.nbytes / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()
