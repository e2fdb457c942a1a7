import math
import os

import pytest
import torch

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
