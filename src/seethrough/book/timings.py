"""How long each notebook took: one small file beside the executed notebooks."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from seethrough.checked_json import pretty_json, write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one notebook took when it was executed last."""

    notebook: str
    """Its name."""
    seconds: float
    """Wall-clock time, with the start of the kernel."""
    profile: str
    """smoke, quick, paper or custom."""


def timing_file(executed: Path) -> Path:
    """Return where the timing of an executed notebook is kept."""
    return executed.parent / "timings" / f"{executed.stem}.json"


def read_timing(executed: Path) -> Timing | None:
    """Return the timing of an executed notebook; None if there is none, or none that reads."""
    try:
        return Timing(**json.loads(timing_file(executed).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_timing(executed: Path, timing: Timing) -> None:
    """Keep the timing of an executed notebook."""
    write_atomically(timing_file(executed), pretty_json(asdict(timing)))
