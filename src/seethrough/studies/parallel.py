"""Independent work in several processes."""

import multiprocessing
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def parallel_map(
    function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> list[Result]:
    """Return `function` of every item, in order, `workers` at a time in processes of their own.

    `function` must be importable by name. One worker, or one item, needs no other process. The
    first error of a worker is raised here.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, allowed is at least 1")
    if workers == 1 or len(items) < 2:
        return [function(item) for item in items]
    # Fresh processes: torch's threads do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(min(workers, len(items))) as pool:
        return pool.map(function, items, chunksize=1)
