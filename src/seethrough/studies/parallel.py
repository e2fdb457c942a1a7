"""Independent work in several processes, which are kept for the next call."""

import atexit
import multiprocessing
import signal
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from multiprocessing.pool import Pool
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_Heard = SimpleQueue[tuple[int, Any, BaseException | None]]
"""Place of an item, its result, its error."""

SECONDS_BETWEEN_LOOKS = 2.0
"""How often one looks whether all processes still live, while nothing is heard of them."""


def parallel_map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    workers: int,
    after: Mapping[Item, Sequence[Item]] | None = None,
) -> list[Result]:
    """Return `function` of every item, in order, `workers` at a time in processes of their own.

    `function` must be importable by name. One worker, or one item, needs no other process. The
    workers share this process's CPU threads: more threads than cores would wait for each other
    most of the time. `after` names for an item, which must be hashable then, those that must be
    finished before it begins; names that are no items are finished already.

    An error of a worker is raised here, the first one, when all that do not wait for its item are
    finished. The processes stay for the next call and end with this one: a new process takes
    seconds to import what the work needs.

    Raises:
        ValueError: fewer than one worker, or items that wait for each other.
        RuntimeError: a worker was killed.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}, allowed is at least 1")
    waits = _waits(items, after or {})
    if workers == 1 or len(items) < 2:
        found: dict[int, Result] = {}
        while len(found) < len(items):
            index = next(
                i for i in range(len(items)) if i not in found and waits[i] <= found.keys()
            )
            found[index] = function(items[index])
        return [found[index] for index in range(len(items))]
    processes = min(workers, len(items))
    workforce = _workforce(processes, max(1, torch.get_num_threads() // processes))
    try:
        return workforce.map(function, items, waits)
    except BaseException:
        _dismiss()  # an interrupt leaves no work behind that nobody waits for
        raise


def _waits(items: Sequence[Item], after: Mapping[Item, Sequence[Item]]) -> list[set[int]]:
    """Return for each item the places of those before it; raise ValueError if they go round."""
    if not after:
        return [set() for _ in items]
    places = {item: index for index, item in enumerate(items)}
    waits = [{places[one] for one in after.get(item, ()) if one in places} for item in items]
    done: set[int] = set()
    while len(done) < len(items):
        ready = {index for index, others in enumerate(waits) if others <= done} - done
        if not ready:
            raise ValueError(f"{len(items) - len(done)} items wait for each other")
        done |= ready
    return waits


class _Workforce:
    """Processes that wait for work."""

    def __init__(self, processes: int, threads: int) -> None:
        self.size = (processes, threads)
        before = {child.pid for child in multiprocessing.active_children()}
        # Fresh processes: torch's threads do not survive a fork.
        context = multiprocessing.get_context("spawn")
        self.pool: Pool = context.Pool(processes, _begin, (threads,))
        children = {child.pid for child in multiprocessing.active_children()}
        self.members = children - before

    def lost(self) -> bool:
        """Return whether a process ended: the pool replaces it and forgets what it did."""
        return not self.members <= {child.pid for child in multiprocessing.active_children()}

    def map(
        self, function: Callable[[Item], Result], items: Sequence[Item], waits: Sequence[set[int]]
    ) -> list[Result]:
        """Return `function` of every item, each begun when those that it waits for are done."""
        heard: _Heard = SimpleQueue()
        found: dict[int, Result] = {}
        failed: dict[int, BaseException] = {}
        waiting, running = list(range(len(items))), 0
        while True:
            for index in [i for i in waiting if waits[i] <= found.keys()]:
                if running < self.size[0]:
                    waiting.remove(index)
                    running += 1
                    self.pool.apply_async(
                        function,
                        (items[index],),
                        callback=partial(_say, heard, index),
                        error_callback=partial(_say_error, heard, index),
                    )
            if not running:
                break
            index, result, error = self._next(heard)
            running -= 1
            if error is None:
                found[index] = result
            else:
                failed[index] = error
        if failed:
            raise next(iter(failed.values()))
        return [found[index] for index in range(len(items))]

    def _next(self, heard: _Heard) -> tuple[int, Any, BaseException | None]:
        while True:
            try:
                return heard.get(timeout=SECONDS_BETWEEN_LOOKS)
            except Empty:
                if self.lost():
                    raise RuntimeError(
                        "a worker process was killed, perhaps for want of memory: use fewer "
                        "workers; finished runs are kept"
                    ) from None


def _begin(threads: int) -> None:
    """Prepare a worker, which leaves an interrupt to the process that it works for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)


def _say(heard: _Heard, index: int, result: object) -> None:
    heard.put((index, result, None))


def _say_error(heard: _Heard, index: int, error: BaseException) -> None:
    heard.put((index, None, error))


_kept: list[_Workforce] = []  # one at most


def _workforce(processes: int, threads: int) -> _Workforce:
    """Return the kept processes if they are as many as wanted and whole, or new ones."""
    if not _kept or _kept[0].size != (processes, threads) or _kept[0].lost():
        _dismiss()
        _kept.append(_Workforce(processes, threads))
    return _kept[0]


@atexit.register
def _dismiss() -> None:
    """End the kept processes."""
    while _kept:
        pool = _kept.pop().pool
        pool.terminate()
        pool.join()
