"""Independent work in several processes."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> list[Result]:
    """Return `function` of every item, in order, `workers` at a time in processes of their own.

    `function` must be importable by name. One worker, or one item, needs no other process. The
    workers share this process's CPU threads: more threads than cores would wait for each other
    most of the time. The first error of a worker is raised here.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, allowed is at least 1")
    if workers == 1 or len(items) < 2:
        return [function(item) for item in items]
    processes = min(workers, len(items))
    threads = max(1, torch.get_num_threads() // processes)
    # Fresh processes: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with context.Pool(processes, torch.set_num_threads, (threads,)) as pool:
        return pool.map(function, items, chunksize=1)
