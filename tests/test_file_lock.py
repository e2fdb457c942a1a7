"""Locks: a notice after some patience, and freedom after a crash."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from seethrough.file_lock import held

HOLDER = """
import sys, time
from pathlib import Path
from seethrough.file_lock import held

with held(Path(sys.argv[1]), ""):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_free_lock_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with held(tmp_path / "new" / "lock", "waiting"):
            pass
    assert capsys.readouterr().err == ""


def test_waiting_is_announced_once_and_ends_with_the_holder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path / "lock")], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    killer = threading.Timer(0.3, os.kill, (process.pid, signal.SIGKILL))
    killer.start()
    with held(tmp_path / "lock", "waiting for it", patience=0.05):
        assert process.wait() == -signal.SIGKILL  # it is over when the lock is ours
    process.stdout.close()
    assert capsys.readouterr().err == "waiting for it\n"


def test_an_error_inside_frees_it(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), held(tmp_path / "lock", ""):
        raise RuntimeError
    with held(tmp_path / "lock", ""):
        pass
