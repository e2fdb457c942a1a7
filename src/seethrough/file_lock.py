"""File locks that say whom one waits for."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def held(path: Path, notice: str, *, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock `path` in the block, waiting for whoever has it.

    After `patience` seconds of waiting, `notice` is printed once on stderr. The lock of a process
    that died is free.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        print(notice, file=sys.stderr, flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
