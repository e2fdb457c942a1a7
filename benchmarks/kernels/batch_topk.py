"""How fast is the selection of BatchTopK, and of top-k per row, against torch and numpy?

Ours give a ragged code, rows, latents and values; the peers no more than what is named: topk values
and places without rows, kthvalue the threshold, np.partition the values without places. Peers get
their best input: ReLU is not timed, and kthvalue and np.partition are told nothing of ties. Same
process, equal values asserted first, interleaved rounds, minimum of process time (one thread) or of
elapsed time (several, or a card). Limit: a plain copy of the batch.

Run: python benchmarks/kernels/batch_topk.py
"""

import platform
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from seethrough.kernels.batch_topk import batch_topk
from seethrough.kernels.row_topk import row_topk
from seethrough.performance.report import Measurement, benchmark_parser, write_report

Work = Callable[[], Tensor]
"""Gives the chosen values in some order, or their smallest alone."""


def works(numbers: Tensor, k: int) -> dict[str, Work]:
    """Return the selections of one batch; k B and k are below its positive entries."""
    flat, n_most = numbers.flatten(), k * len(numbers)
    found: dict[str, Work] = {
        "topk sorted": lambda: flat.topk(n_most).values,
        "topk unsorted": lambda: flat.topk(n_most, sorted=False).values,
        "kthvalue": lambda: flat.kthvalue(len(flat) - n_most + 1).values,
    }
    if numbers.device.type == "cpu" and numbers.dtype == torch.float32:
        nth = len(flat) - n_most
        found["np.partition"] = lambda: torch.from_numpy(np.partition(flat.numpy(), nth)[nth:])
    found["ours"] = lambda: batch_topk(numbers, k).values
    return found


def row_works(numbers: Tensor, k: int) -> dict[str, Work]:
    """Return the selections of every row."""
    found: dict[str, Work] = {
        "topk sorted": lambda: numbers.topk(k).values,
        "topk unsorted": lambda: numbers.topk(k, sorted=False).values,
        "kthvalue": lambda: numbers.kthvalue(numbers.shape[1] - k + 1).values,
    }
    if numbers.device.type == "cpu" and numbers.dtype == torch.float32:
        nth = numbers.shape[1] - k
        found["np.partition"] = lambda: torch.from_numpy(
            np.partition(numbers.numpy(), nth, axis=1)[:, nth:]
        )
    found["ours"] = lambda: row_topk(numbers, k).values
    return found


def assert_equal(found: Tensor, chosen: Tensor) -> None:
    """Raise unless both hold the same values in some order, or `found` the smallest of them."""
    found = found.flatten().sort().values
    if len(found) == len(chosen):
        assert torch.equal(found, chosen.sort().values)
    else:  # kthvalue: one threshold, or one a row
        assert float(found[0]) == float(chosen.min())


def seconds(work: Callable[[], object], device: str) -> float:
    if device == "cpu":
        clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        started = clock()
        work()
        return clock() - started
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(10):
        work()
    end.record()
    torch.cuda.synchronize()
    return float(begin.elapsed_time(end)) / 1e4


def measure(
    title: str, numbers: Tensor, selections: dict[str, Work], k: int, rounds: int
) -> Measurement:
    """Print the shortest time of each selection, taking turns, and return them."""
    chosen = selections["ours"]()
    for work in selections.values():  # each runs once before it is timed
        assert_equal(work(), chosen)
    target = torch.empty_like(numbers)
    timed: dict[str, Callable[[], object]] = {"copy": lambda: target.copy_(numbers), **selections}
    best = dict.fromkeys(timed, np.inf)
    for _ in range(rounds):
        for name, work in timed.items():
            best[name] = min(best[name], seconds(work, numbers.device.type))
    print(f"\n{title}\n\n| selection | ms | against ours | against a copy |\n|---|---|---|---|")
    for name, time_taken in best.items():
        ratios = f"{time_taken / best['ours']:.2f} x | {time_taken / best['copy']:.1f} x"
        print(f"| {name} | {1e3 * time_taken:.2f} | {ratios} |")
    times = {name: 1e3 * seconds for name, seconds in best.items()}
    card = numbers.device.type == "cuda"
    return Measurement(
        case=title,
        shapes=f"B {numbers.shape[0]}, M {numbers.shape[1]}, k {k}",
        dtype=str(numbers.dtype).removeprefix("torch."),
        device=torch.cuda.get_device_name() if card else "cpu",
        threads=torch.get_num_threads(),
        rounds=rounds,
        ours=times.pop("ours"),
        limit=times.pop("copy"),
        peers=times,
        clock="time between events" if card else clock_name(),
    )


def clock_name() -> str:
    return "CPU time" if torch.get_num_threads() == 1 else "elapsed time"


def main() -> None:
    parser = benchmark_parser("Benchmark of BatchTopK's selection.", rounds=5)
    parser.add_argument("--rows", type=int, default=4096)
    parser.add_argument("--width", type=int, default=6144)
    parser.add_argument("--k", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(
        f"device {arguments.device} ({platform.machine()}), {arguments.rows} x {arguments.width} "
        f"normal numbers, k {arguments.k}, {arguments.threads} threads, torch "
        f"{torch.__version__}, numpy {np.__version__}"
    )
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(arguments.rows, arguments.width, generator=generator)
    found: list[Measurement] = []
    for dtype in (torch.float32, torch.bfloat16):
        numbers = normal.to(arguments.device, dtype)
        name = str(dtype).removeprefix("torch.")
        for kind, selections in (("batch", works), ("rows", row_works)):
            contestants = selections(numbers, arguments.k)
            title = f"{kind}, {name}"
            found.append(measure(title, numbers, contestants, arguments.k, arguments.rounds))
    write_report(
        name="selection",
        what="The selection of BatchTopK, and of top-k per row, alone",
        command="python benchmarks/kernels/batch_topk.py",
        limit="a plain copy of the batch",
        measurements=found,
        folder=arguments.out,
    )


if __name__ == "__main__":
    main()
