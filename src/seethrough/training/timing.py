"""How long a training run took, in a file beside its results."""

import json
import time
from pathlib import Path

from seethrough.checked_json import pretty_json, write_atomically

TIMING_FILE = "timing.json"


def write_seconds(folder: Path, started: float) -> None:
    """Write the seconds since `started`, a time of `time.monotonic`, into the run's folder."""
    timing = {"seconds": round(time.monotonic() - started, 3)}
    write_atomically(folder / TIMING_FILE, pretty_json(timing))


def stored_seconds(folder: Path) -> float:
    """Return how long the run in `folder` took, over all interruptions."""
    return float(json.loads((folder / TIMING_FILE).read_text("utf-8"))["seconds"])
