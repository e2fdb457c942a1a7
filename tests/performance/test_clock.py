import time
from itertools import count

import pytest

from seethrough.performance.clock import (
    copy_bandwidth,
    cpu_name,
    milliseconds,
    process_seconds,
    shortest_by,
)


def test_the_shortest_round_counts_and_contestants_take_turns() -> None:
    # A clock that moves only where a contestant says so.
    now, order = [0.0], []
    first, second = iter((5.0, 2.0, 3.0)), iter((1.0, 4.0, 0.5))

    def take(name: str, seconds: float) -> None:
        order.append(name)
        now[0] += seconds

    works = {"a": lambda: take("a", next(first)), "b": lambda: take("b", next(second))}
    best = shortest_by(works, 3, {"own": lambda: now[0], "double": lambda: 2 * now[0]})
    assert best == {
        "own": {"a": pytest.approx(2000), "b": pytest.approx(500)},
        "double": {"a": pytest.approx(4000), "b": pytest.approx(1000)},
    }
    assert order == ["a", "b"] * 3


def test_sleep_takes_no_cpu_time() -> None:
    assert process_seconds(lambda: time.sleep(0.05)) < 0.04


def test_more_work_takes_longer() -> None:
    found = milliseconds({"much": lambda: sum(range(300_000)), "little": lambda: sum(range(30))}, 3)
    assert found["much"] > 10 * found["little"] > 0


def test_every_work_runs_once_a_round() -> None:
    calls = count()
    milliseconds({"one": lambda: next(calls)}, 4)
    assert next(calls) == 4


def test_the_machine() -> None:
    # A byte a second would be an error of units, an exabyte too.
    assert 1e7 < copy_bandwidth() < 1e13
    assert cpu_name().strip()
