import math
import os
import signal
import time
from pathlib import Path

import pytest
import torch

from seethrough.studies import parallel as module
from seethrough.studies.parallel import parallel_map
from seethrough.training.device import thread_count


def process_of(item: int) -> tuple[int, int]:
    return item, os.getpid()


def test_results_come_in_the_order_of_the_items() -> None:
    found = parallel_map(process_of, [3, 1, 2], workers=2)
    assert [item for item, _ in found] == [3, 1, 2]
    assert os.getpid() not in {process for _, process in found}


def threads_of(item: int) -> int:
    return torch.get_num_threads()


def test_workers_share_the_threads() -> None:
    with thread_count(4):
        assert parallel_map(threads_of, [0, 1, 2], workers=2) == [2, 2, 2]
        assert parallel_map(threads_of, [0, 1], workers=1) == [4, 4]
    with thread_count(1):
        assert parallel_map(threads_of, [0, 1], workers=2) == [1, 1]


def test_one_worker_or_one_item_stays_in_this_process() -> None:
    assert parallel_map(process_of, [1, 2], workers=1) == [(1, os.getpid()), (2, os.getpid())]
    assert parallel_map(process_of, [1], workers=2) == [(1, os.getpid())]
    assert parallel_map(process_of, [], workers=2) == []


def test_an_error_of_a_worker_is_raised_here() -> None:
    with pytest.raises(ValueError, match="math domain|expected a nonnegative"):
        parallel_map(math.sqrt, [1.0, -1.0], workers=2)


def test_no_worker_is_refused() -> None:
    with pytest.raises(ValueError, match="workers is 0, allowed is at least 1"):
        parallel_map(math.sqrt, [1.0], workers=0)


def test_the_processes_are_kept() -> None:
    first = {process for _, process in parallel_map(process_of, [1, 2, 3, 4], workers=2)}
    again = {process for _, process in parallel_map(process_of, [5, 6, 7, 8], workers=2)}
    assert len(first | again) <= 2


def note(path: Path) -> float:
    """Write the time of the beginning into a file and return that of the end."""
    path.write_text(repr(time.monotonic()))
    time.sleep(0.05)
    return time.monotonic()


@pytest.mark.parametrize("workers", [1, 3])
def test_an_item_waits_for_those_before_it(tmp_path: Path, workers: int) -> None:
    """The last two of a chain are listed first, with a free worker for each."""
    third, second, first, alone = (tmp_path / name for name in ("c", "b", "a", "d"))
    after = {third: [second], second: [first, tmp_path / "no item"]}
    items = [third, second, first, alone]
    ends = dict(zip(items, parallel_map(note, items, workers, after), strict=True))
    begun = {item: float(item.read_text()) for item in items}
    assert begun[third] >= ends[second]
    assert begun[second] >= ends[first]


@pytest.mark.parametrize("workers", [1, 2])
def test_items_that_wait_for_each_other_are_refused(workers: int) -> None:
    with pytest.raises(ValueError, match="2 items wait for each other"):
        parallel_map(math.sqrt, [1.0, 2.0, 3.0], workers, {1.0: [2.0], 2.0: [1.0]})


def root(path: Path) -> float:
    """Return the square root of what a file's name says, and leave the file."""
    path.write_text("begun")
    return math.sqrt(float(path.name))


def test_what_waits_for_an_error_is_not_begun(tmp_path: Path) -> None:
    """-1 fails, -2 and 3 wait for it; 4 is done all the same."""
    wrong, behind, far, other = (tmp_path / name for name in ("-1", "-2", "3", "4"))
    with pytest.raises(ValueError, match="math domain|expected a nonnegative"):
        parallel_map(root, [wrong, behind, far, other], 2, {behind: [wrong], far: [behind]})
    assert [item.exists() for item in (wrong, behind, far, other)] == [True, False, False, True]


def kill_self(item: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_is_told_of_and_the_next_call_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "SECONDS_BETWEEN_LOOKS", 0.1)
    with pytest.raises(RuntimeError, match="a worker process was killed"):
        parallel_map(kill_self, [1, 2], workers=2)
    assert parallel_map(math.sqrt, [4.0, 9.0], workers=2) == [2.0, 3.0]
