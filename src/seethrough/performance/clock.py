"""How benchmarks take time: in one process, taking turns, the shortest of some rounds.

Other programs on a machine make a run longer, never shorter, and the process's own CPU time leaves
out most of what they take. Ratios of such times compare; the times themselves say less.
"""

import gc
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import TypeVar

import torch

Name = TypeVar("Name")
Work = Callable[[], object]


def process_seconds(work: Work) -> float:
    """Return the CPU time, of all threads of this process, that `work` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def device_seconds(work: Work) -> float:
    """Return the time between two events on the current CUDA device, before and after `work`."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    work()
    end.record()
    torch.cuda.synchronize()
    return float(start.elapsed_time(end)) / 1e3


def milliseconds(works: Mapping[Name, Work], rounds: int, device: str = "cpu") -> dict[Name, float]:
    """Return the time of each, taking turns: on the CPU the shortest CPU time of all rounds.

    On a card, the median of the time between events, each having run 3 times before.

    >>> milliseconds({"nothing": lambda: None}, 2)["nothing"] < 1.0
    True
    """
    if device == "cpu":
        return shortest_by(works, rounds, {"": time.process_time})[""]
    for work in works.values():
        for _ in range(3):
            work()
    times: dict[Name, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(1e3 * device_seconds(work))
    return {name: median(found) for name, found in times.items()}


def shortest_by(
    works: Mapping[Name, Work], rounds: int, clocks: Mapping[str, Callable[[], float]]
) -> dict[str, dict[Name, float]]:
    """Return clock -> the shortest time of each in ms by that clock, all read in the same runs.

    The first of several rounds warms up; the shortest of them leaves it out by itself.
    """
    best = {clock: dict.fromkeys(works, math.inf) for clock in clocks}
    for _ in range(rounds):
        gc.collect()  # or one contestant would pay for what another left
        for name, work in works.items():
            started = {clock: read() for clock, read in clocks.items()}
            work()
            for clock, read in clocks.items():
                spent = 1e3 * (read() - started[clock])
                best[clock][name] = min(best[clock][name], spent)
    return best


def copy_bandwidth(device: str = "cpu") -> float:
    """Return the bytes read and written per second by a large copy (CPU: on torch's threads)."""
    n_bytes, seconds = (1 << 26, process_seconds) if device == "cpu" else (1 << 32, device_seconds)
    source = torch.ones(n_bytes, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * source.nbytes / min(seconds(lambda: target.copy_(source)) for _ in range(5))


def cpu_name() -> str:
    """Return the processor's name as the system tells it, or "cpu"."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "cpu"
