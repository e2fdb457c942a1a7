"""Content-addressed store of artifacts: trained models, rendered data, results of single runs.

An artifact is a folder of safetensors and JSON files, made by a function from a frozen dataclass.
Its key is the sha256 of the dataclass, the code behind the function and the version of torch: the
same question is computed once, and code that changed never serves an old answer.

    root/<Kind>/<key>/           a finished artifact with its manifest.json
    root/<Kind>/<key>.partial/   the workspace of one that is being made, or was interrupted
    root/<Kind>/<key>.lock       held by the process that makes or checks it
"""

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from seethrough.canonical import dumps, field_values, modules_of
from seethrough.file_lock import held
from seethrough.fingerprint import fingerprint, remember_loaded_modules

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint"
"""Folder in a workspace that survives interruptions and is not part of the artifact."""
SUFFIXES = (".safetensors", ".json")
ROOT_VARIABLE = "SEETHROUGH_CACHE"
SECONDS_BEFORE_NOTICE = 1.0
"""Another process that merely checks an artifact is waited for without a word."""

Config = TypeVar("Config")

remember_loaded_modules()  # as early as possible: see seethrough.fingerprint


class DamagedArtifactWarning(UserWarning):
    """A stored artifact does not match its checksums and is made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One artifact of the store."""

    kind: str
    """Class name of the configuration."""
    key: str
    """64 hexadecimal digits."""
    bytes: int
    """Size of its files."""
    finished: bool
    """False for the workspace of one that is being made or was interrupted."""


class ArtifactStore:
    """Artifacts by configuration, made on first use; safe for several processes at once."""

    def __init__(self, root: Path | None = None) -> None:
        """Open the store at `root`, else $SEETHROUGH_CACHE, else the platform's cache folder.

        Raises ValueError if that is not a folder.
        """
        self.root = (root or default_root()).absolute()
        if self.root.exists() and not self.root.is_dir():
            raise ValueError(f"the store's root is {str(self.root)!r}, allowed is a folder")

    def __eq__(self, other: object) -> bool:
        """Return whether both open the same folder."""
        return isinstance(other, ArtifactStore) and self.root == other.root

    def __hash__(self) -> int:
        """Return a hash of the folder's path."""
        return hash(self.root)

    def key(self, config: Config, build: Callable[[Config, Path], None]) -> str:
        """Return the key of the artifact that `build` makes from `config`."""
        return hashlib.sha256(dumps(_description(config, build)).encode()).hexdigest()

    def holds(self, config: object, build: Callable[..., object]) -> bool:
        """Return whether the artifact that `build` makes from `config` is there, unchecked.

        Any function of the module that `build` lives in will do.
        """
        key = hashlib.sha256(dumps(_description(config, build)).encode()).hexdigest()
        return (self.root / type(config).__name__ / key).is_dir()

    def get(self, config: Config, build: Callable[[Config, Path], None]) -> Path:
        """Return the folder of the artifact that `build` makes from `config`, making it if needed.

        ``build(config, workspace)`` writes .safetensors and .json files. If the process dies, the
        next call passes a workspace whose folder ``checkpoint`` is as it was left and which holds
        nothing else. A stored artifact is compared with its checksums; a damaged one is made again
        after one DamagedArtifactWarning. A process that finds the artifact being made elsewhere
        says so on stderr and waits.

        Raises:
            TypeError: `config` is not a frozen dataclass of plain values.
            ValueError: `build` wrote nothing or a file of another type, or lives in no module.
        """
        description = _description(config, build)
        key = hashlib.sha256(dumps(description).encode()).hexdigest()
        kind = type(config).__name__
        folder = self.root / kind / key
        notice = f"{kind} {key[:12]} is being made by another process: waiting for it"
        with held(folder.with_name(f"{key}.lock"), notice, patience=SECONDS_BEFORE_NOTICE):
            if folder.exists() or folder.is_symlink():
                fault = find_fault(folder, description)
                if fault is None:
                    return folder
                warnings.warn(
                    f"artifact {kind}/{key[:12]} is damaged ({fault}): it is made again",
                    DamagedArtifactWarning,
                    stacklevel=2,
                )
                _remove(folder)
            workspace = folder.with_name(f"{key}.partial")
            if not workspace.is_dir() or find_fault(workspace, description) is not None:
                _clean_workspace(workspace)
                build(config, workspace)
                _write_manifest(workspace, description)
            _publish(workspace, folder)
        return folder

    def entries(self) -> list[Entry]:
        """Return all artifacts and interrupted workspaces, sorted by kind and key."""
        return [
            Entry(
                kind=folder.parent.name,
                key=folder.name.removesuffix(".partial"),
                bytes=sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
                finished=not folder.name.endswith(".partial"),
            )
            for folder in self._folders()
        ]

    def clear(self) -> list[Entry]:
        """Remove everything that no process is working on; return what was left."""
        for folder in self._folders():
            key = folder.name.removesuffix(".partial")
            try:
                with FileLock(folder.with_name(f"{key}.lock"), timeout=0):
                    _remove(folder)
            except Timeout:
                continue
        return self.entries()

    def _folders(self) -> list[Path]:
        return sorted(folder for folder in self.root.glob("*/*") if folder.is_dir())


def default_root() -> Path:
    """Return $SEETHROUGH_CACHE, or the platform's cache folder for seethrough if it is not set."""
    chosen = os.environ.get(ROOT_VARIABLE)
    return Path(chosen).expanduser() if chosen else user_cache_path("seethrough")


def find_fault(folder: Path, description: dict[str, Any]) -> str | None:
    """Return in words what is wrong with an artifact, or None if it is whole.

    The manifest must be there and be that of `description`; every file must be listed in it, of
    its size and sha256, and none may be missing or be a link.
    """
    manifest_file = folder / MANIFEST
    if folder.is_symlink() or manifest_file.is_symlink():
        return "it is a link"
    try:
        manifest = json.loads(manifest_file.read_text("utf-8"))
        listed = manifest.pop("files")
        if manifest != description or not isinstance(listed, dict):
            return "its manifest belongs to something else"
        found = _file_records(folder)
    except FileNotFoundError:
        return "its manifest is missing"
    except (OSError, ValueError, KeyError, AttributeError) as error:
        return f"it cannot be read: {error}"
    for name in sorted(found.keys() | listed.keys()):
        if found.get(name) != listed.get(name):
            return f"{name} is not what was written"
    return None


def _description(config: object, build: Callable[..., object]) -> dict[str, Any]:
    """Return everything that an artifact depends on, as plain data."""
    values = field_values(config)
    return {
        "kind": type(config).__name__,
        "config": values,
        # The store carries artifacts and does not shape them: its own code does not count.
        "code": fingerprint(build.__module__, *modules_of(config), beside=(__name__,)),
        "torch": _torch_version(),
    }


@cache
def _torch_version() -> str:
    return version("torch").partition("+")[0]


def _file_records(folder: Path) -> dict[str, dict[str, Any]]:
    """Return name -> sha256 and size of an artifact's files, without manifest and checkpoints.

    Raises ValueError for a link, or a file that is neither safetensors nor JSON.
    """
    records = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder).as_posix()
        if name == MANIFEST or name.split("/")[0] == CHECKPOINT:
            continue
        if file.is_symlink():
            raise ValueError(f"{name} is a link")
        if file.is_dir():
            continue
        if file.suffix not in SUFFIXES:
            raise ValueError(f"{name} is in the artifact, allowed are {' and '.join(SUFFIXES)}")
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        records[name] = {"sha256": digest, "bytes": file.stat().st_size}
    return records


def _clean_workspace(workspace: Path) -> None:
    """Leave a workspace with its checkpoints alone, so that no half-written file is kept."""
    workspace.mkdir(exist_ok=True)
    for entry in workspace.iterdir():
        if entry.name != CHECKPOINT:
            _remove(entry)


def _write_manifest(workspace: Path, description: dict[str, Any]) -> None:
    """Write the manifest of a finished workspace, after its files are on disk."""
    records = _file_records(workspace)
    if not records:
        raise ValueError(f"the builder of {description['kind']} wrote no file")
    for name in records:
        _sync(workspace / name)
    temporary = workspace / f"{MANIFEST}.tmp"
    temporary.write_text(json.dumps(description | {"files": records}, indent=1, sort_keys=True))
    _sync(temporary)
    os.replace(temporary, workspace / MANIFEST)


def _publish(workspace: Path, folder: Path) -> None:
    """Turn a whole workspace into the artifact by one rename."""
    _remove(workspace / CHECKPOINT)
    _sync(workspace)
    os.rename(workspace, folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
