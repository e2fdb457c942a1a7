import json
import time
from pathlib import Path

import pytest

from seethrough.training import timing
from seethrough.training.timing import TIMING_FILE, stored_seconds, write_seconds


def test_seconds_since_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun at 100 and looked at when the clock shows 102.34567: 2.346 seconds."""
    monkeypatch.setattr(timing.time, "monotonic", lambda: 102.34567)
    write_seconds(tmp_path, 100.0)
    assert stored_seconds(tmp_path) == 2.346
    assert json.loads((tmp_path / TIMING_FILE).read_text("utf-8")) == {"seconds": 2.346}


def test_an_earlier_start_counts_what_an_interruption_left(tmp_path: Path) -> None:
    write_seconds(tmp_path, time.monotonic() - 50)
    assert 50 <= stored_seconds(tmp_path) < 60


def test_a_later_time_replaces_the_first_and_leaves_nothing_beside(tmp_path: Path) -> None:
    write_seconds(tmp_path, time.monotonic() - 50)
    write_seconds(tmp_path, time.monotonic())
    assert 0 <= stored_seconds(tmp_path) < 10
    assert [file.name for file in tmp_path.iterdir()] == [TIMING_FILE]


def test_whole_seconds_are_read_as_a_float(tmp_path: Path) -> None:
    (tmp_path / TIMING_FILE).write_text('{"seconds": 3}', encoding="utf-8")
    found = stored_seconds(tmp_path)
    assert (found, type(found)) == (3.0, float)


def test_a_run_without_its_time_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=TIMING_FILE):
        stored_seconds(tmp_path)
