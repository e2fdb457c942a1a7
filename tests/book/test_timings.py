"""The small files that say how long a notebook took."""

from pathlib import Path

import pytest

from seethrough.book.timings import Timing, read_timing, timing_file, write_timing


def test_written_beside_the_notebook_and_read_back(tmp_path: Path) -> None:
    executed = tmp_path / "executed" / "a.ipynb"
    timing = Timing(notebook="a", seconds=1.5, profile="quick")
    write_timing(executed, timing)
    assert timing_file(executed) == tmp_path / "executed" / "timings" / "a.json"
    assert read_timing(executed) == timing


@pytest.mark.parametrize("text", [None, "", "[]", '{"notebook": "a"}', '{"a": 1}'])
def test_a_missing_or_strange_file_is_none(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        timing_file(tmp_path / "a.ipynb").parent.mkdir()
        timing_file(tmp_path / "a.ipynb").write_text(text)
    assert read_timing(tmp_path / "a.ipynb") is None
