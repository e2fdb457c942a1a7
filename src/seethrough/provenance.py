"""Where a result comes from: parameters, machine, versions, commit, time."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seethrough import __version__
from seethrough.checkout import PACKAGE_FOLDER
from seethrough.parameters import plain, profile_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What must be known to judge a result, or to get it again."""

    parameters: dict[str, Any]
    """All parameters of the study. Of a file given by its absolute path, the name alone."""
    seeds: tuple[int, ...]
    """The seeds behind every row, in the order of its values."""
    profile: str
    """smoke, quick, paper, or custom for parameters of none of them."""
    device: str
    """cpu, or the name of the GPU."""
    threads: int
    """CPU threads of the computation."""
    versions: dict[str, str]
    """Versions of python, torch, numpy and seethrough."""
    git_commit: str | None
    """Commit of the code, None outside a git checkout."""
    git_dirty: bool
    """True if the code differs from that commit."""
    seconds: float
    """Wall-clock time of the computation, over all interruptions."""


def collect(study: str, parameters: Any, *, seconds: float) -> Provenance:
    """Return the provenance of a result that `study` computed from `parameters` here and now.

    The dataclass `parameters` may have fields `seeds`, `device` and `threads`.
    """
    commit, dirty = git_state(PACKAGE_FOLDER)
    return Provenance(
        parameters={name: without_folder(v) for name, v in plain(parameters).items()},
        seeds=tuple(getattr(parameters, "seeds", ())),
        profile=profile_of(study, parameters),
        device=device_name(getattr(parameters, "device", "cpu")),
        threads=int(getattr(parameters, "threads", 1)),
        versions={
            "python": platform.python_version(),
            "torch": version("torch"),
            "numpy": version("numpy"),
            "seethrough": __version__,
        },
        git_commit=commit,
        git_dirty=dirty,
        seconds=round(seconds, 3),
    )


def device_name(device: str) -> str:
    """Return "cpu", or the name that CUDA gives to the device "cuda" or "cuda:N"."""
    if device == "cpu":
        return device
    import torch

    return torch.cuda.get_device_name(device)


def git_state(folder: Path) -> tuple[str | None, bool]:
    """Return the commit of the git checkout that tracks `folder`, and whether `folder` differs.

    Without git, or if no file in `folder` is tracked, (None, False).
    """
    commit, tracked = _git(folder, "rev-parse", "HEAD"), _git(folder, "ls-files", ".")
    if not commit or not tracked:
        return None, False
    return commit, bool(_git(folder, "--no-optional-locks", "status", "--porcelain", "."))


def _git(folder: Path, *arguments: str) -> str | None:
    # Git hooks set variables that point to another repository.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def without_folder(value: Any) -> Any:
    """Return a parameter as provenance keeps it: the name alone of an absolute path."""
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
