"""The Makefile: its own help, and what it says when Python is missing."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from seethrough.checkout import checkout_root

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    # These tests themselves run below `make test`, which tells its children that they are nested.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments],
        cwd=checkout_root(),
        env=plain,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_help_is_the_default_and_names_every_target() -> None:
    assert checkout_root() is not None
    text = Path(str(checkout_root()), "Makefile").read_text()
    (targets,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    shown = make().stdout
    assert [line.split()[0] for line in shown.splitlines()[1:]] == targets.split()
    assert shown == make("help").stdout


@pytest.mark.parametrize("target", ["book", "test", "setup"])
def test_a_missing_python_is_said_in_one_line(target: str) -> None:
    done = make(target, "PYTHON=no-such-python")
    assert done.returncode == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("set-up: there is no no-such-python; install Python 3.11 or newer")
    assert second.startswith("make: ***")
