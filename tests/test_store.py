"""The artifact store: keys, damage, interruptions, several processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import load_file, save_file

from seethrough.store import ArtifactStore, DamagedArtifactWarning

Build = Callable[["Run", Path], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A configuration."""

    seed: int = 0


def write_model(config: Run, workspace: Path) -> None:
    save_file({"weight": torch.full((3,), float(config.seed))}, workspace / "model.safetensors")
    (workspace / "history.json").write_text('{"loss": [1.0]}')


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "cache")


def counted(build: Build = write_model) -> tuple[Build, list[int]]:
    calls: list[int] = []

    def counting(config: Run, workspace: Path) -> None:
        calls.append(config.seed)
        build(config, workspace)

    return counting, calls


def test_an_artifact_is_made_once(store: ArtifactStore) -> None:
    build, calls = counted()
    folder = store.get(Run(seed=3), build)
    assert folder == store.get(Run(seed=3), build)
    assert calls == [3]
    assert load_file(folder / "model.safetensors")["weight"].tolist() == [3.0, 3.0, 3.0]
    assert folder == store.root / "Run" / store.key(Run(seed=3), build)


def test_another_value_is_another_artifact(store: ArtifactStore) -> None:
    build, calls = counted()
    assert store.get(Run(seed=1), build) != store.get(Run(seed=2), build)
    assert calls == [1, 2]


def test_the_manifest_says_what_was_made(store: ArtifactStore) -> None:
    folder = store.get(Run(seed=3), write_model)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["config"] == {"seed": 3}
    assert manifest["torch"] == torch.__version__.split("+")[0]
    assert set(manifest) == {"kind", "config", "code", "torch", "files"}
    assert manifest["files"]["history.json"]["bytes"] == 15
    assert len(manifest["files"]["history.json"]["sha256"]) == 64


def damage_flip(folder: Path) -> None:
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def damage_truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


def damage_remove_file(folder: Path) -> None:
    (folder / "history.json").unlink()


def damage_add_file(folder: Path) -> None:
    (folder / "other.json").write_text("{}")


def damage_add_foreign_file(folder: Path) -> None:
    (folder / "model.pickle").write_bytes(b"")


def damage_link_file(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.rename(folder.parent / "elsewhere.safetensors")
    path.symlink_to(folder.parent / "elsewhere.safetensors")


def damage_remove_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def damage_link_manifest(folder: Path) -> None:
    (folder / "manifest.json").rename(folder.parent / "elsewhere.json")
    (folder / "manifest.json").symlink_to(folder.parent / "elsewhere.json")


def damage_break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"files": ')


def damage_swap_manifest(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["config"]["seed"] = 4
    (folder / "manifest.json").write_text(json.dumps(manifest))


def damage_link_folder(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")


def damage_replace_folder(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    folder.write_text("a file")


@pytest.mark.parametrize(
    "damage",
    [
        damage_flip,
        damage_truncate,
        damage_remove_file,
        damage_add_file,
        damage_add_foreign_file,
        damage_link_file,
        damage_remove_manifest,
        damage_link_manifest,
        damage_break_manifest,
        damage_swap_manifest,
        damage_link_folder,
        damage_replace_folder,
    ],
)
def test_damage_is_repaired_with_one_warning(
    store: ArtifactStore, damage: Callable[[Path], None]
) -> None:
    build, calls = counted()
    folder = store.get(Run(seed=3), build)
    damage(folder)
    with pytest.warns(
        DamagedArtifactWarning, match=r"Run/\w{12} is damaged \(.*\): it is made"
    ) as w:
        assert store.get(Run(seed=3), build) == folder
    assert len(w) == 1
    assert calls == [3, 3]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.get(Run(seed=3), build)  # whole again
    assert not folder.is_symlink()
    assert load_file(folder / "model.safetensors")["weight"].tolist() == [3.0, 3.0, 3.0]


@pytest.mark.parametrize("name", ["model.pt", "notes.txt", "deep/model.pickle", "bare"])
def test_foreign_files_are_refused(store: ArtifactStore, name: str) -> None:
    def build(config: Run, workspace: Path) -> None:
        write_model(config, workspace)
        (workspace / name).parent.mkdir(exist_ok=True)
        (workspace / name).write_text("x")

    with pytest.raises(ValueError, match=re.escape(name) + r" .*allowed are \.safetensors and"):
        store.get(Run(), build)
    assert not [entry for entry in store.entries() if entry.finished]


def test_links_are_refused(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")

    def build(config: Run, workspace: Path) -> None:
        (workspace / "inside.json").symlink_to(tmp_path / "outside.json")

    with pytest.raises(ValueError, match=r"inside.json is a link"):
        store.get(Run(), build)


def test_a_builder_that_writes_nothing_is_refused(store: ArtifactStore) -> None:
    with pytest.raises(ValueError, match="wrote no file"):
        store.get(Run(), lambda config, workspace: None)


def test_holds_says_what_is_there(store: ArtifactStore) -> None:
    assert not store.holds(Run(seed=3), write_model)
    assert not store.root.exists()
    folder = store.get(Run(seed=3), write_model)
    assert store.holds(Run(seed=3), write_model)
    assert store.holds(Run(seed=3), counted)  # any function of this module will do
    assert not store.holds(Run(seed=4), write_model)
    assert not store.holds(Run(seed=3), json.dumps)  # another module has other code
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    assert not store.holds(Run(seed=3), write_model)


def test_holds_looks_at_the_class_too(store: ArtifactStore) -> None:
    @dataclass(frozen=True)
    class Other:
        seed: int = 3

    store.get(Run(seed=3), write_model)
    assert not store.holds(Other(), write_model)


def test_holds_does_not_check(store: ArtifactStore) -> None:
    """Checksums are compared when the artifact is asked for, not when work is counted."""
    damage_flip(store.get(Run(seed=3), write_model))
    assert store.holds(Run(seed=3), write_model)


def test_holds_wants_a_frozen_dataclass(store: ArtifactStore) -> None:
    with pytest.raises(TypeError, match="frozen dataclass"):
        store.holds({"seed": 3}, write_model)


def test_only_frozen_dataclasses(store: ArtifactStore) -> None:
    with pytest.raises(TypeError, match="frozen dataclass"):
        store.get({"seed": 1}, lambda config, workspace: None)
    assert not store.root.exists()


def test_a_failed_build_keeps_its_checkpoints_and_nothing_else(store: ArtifactStore) -> None:
    found: list[list[str]] = []

    def build(config: Run, workspace: Path) -> None:
        found.append(
            sorted(path.relative_to(workspace).as_posix() for path in workspace.rglob("*"))
        )
        (workspace / "checkpoint").mkdir(exist_ok=True)
        (workspace / "checkpoint" / "state.anything").write_text("epoch 1")
        (workspace / "model.safetensors").write_text("half")
        if len(found) == 1:
            raise RuntimeError("stopped")
        write_model(config, workspace)

    with pytest.raises(RuntimeError, match="stopped"):
        store.get(Run(), build)
    folder = store.get(Run(), build)
    assert found == [[], ["checkpoint", "checkpoint/state.anything"]]
    assert sorted(file.name for file in folder.iterdir()) == [
        "history.json",
        "manifest.json",
        "model.safetensors",
    ]


def test_a_whole_workspace_is_published_without_building(store: ArtifactStore) -> None:
    # As if the process died between the manifest and the rename.
    build, calls = counted()
    folder = store.get(Run(), build)
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    assert store.get(Run(), build) == folder
    assert calls == [0]


def test_a_broken_workspace_is_not(store: ArtifactStore) -> None:
    build, calls = counted()
    folder = store.get(Run(), build)
    damage_flip(folder)
    folder.rename(folder.with_name(f"{folder.name}.partial"))
    store.get(Run(), build)
    assert calls == [0, 0]


def test_entries_and_clear(store: ArtifactStore) -> None:
    assert store.entries() == []
    folder = store.get(Run(seed=1), write_model)
    store.get(Run(seed=2), write_model).rename(store.root / "Run" / ("0" * 64 + ".partial"))
    unfinished, finished = store.entries()
    assert (finished.kind, finished.key, finished.finished) == ("Run", folder.name, True)
    assert finished.bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert (unfinished.key, unfinished.finished) == ("0" * 64, False)
    with FileLock(folder.with_name(f"{folder.name}.lock")):
        assert store.clear() == [finished]  # someone works on it
    assert store.clear() == []
    assert not folder.exists()


def test_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEETHROUGH_CACHE", str(tmp_path / "chosen"))
    assert ArtifactStore().root == tmp_path / "chosen"
    assert ArtifactStore(tmp_path).root == tmp_path
    monkeypatch.delenv("SEETHROUGH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert "seethrough" in ArtifactStore().root.name
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEETHROUGH_CACHE", str(tmp_path / "file"))
    with pytest.raises(ValueError, match="file', allowed is a folder"):
        ArtifactStore()


# Other processes, and code that changes: a module of its own, with a builder that can be slow.

LAB = '''
"""A module whose builder counts its calls, and waits where it is told to."""
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from seethrough.store import ArtifactStore


@dataclass(frozen=True)
class Work:
    name: str = "a"


def log(text: str) -> None:
    with open(os.environ["LAB_LOG"], "a") as stream:
        stream.write(text + "\\n")


def build(config: Work, workspace: Path) -> None:
    log("begin")
    state = workspace / "checkpoint" / "epoch"
    state.parent.mkdir(exist_ok=True)
    first = int(state.read_text()) if state.exists() else 0
    for epoch in range(first, 3):
        (workspace / "numbers.json").write_text("[")  # half a file
        log(f"epoch {epoch}")
        state.write_text(str(epoch + 1))
        if epoch == 1 and "LAB_HANG" in os.environ:
            log("hanging")
            time.sleep(60)
    while "LAB_GO" in os.environ and not os.path.exists(os.environ["LAB_GO"]):
        time.sleep(0.02)
    (workspace / "numbers.json").write_text("[1, 2, 3]")
    log("end")


if __name__ == "__main__":
    import lab

    print(ArtifactStore(Path(sys.argv[1])).get(lab.Work(), lab.build))
'''


@dataclass
class Lab:
    """Runs the module in other processes."""

    folder: Path

    def environment(self, **variables: str) -> dict[str, str]:
        return (
            os.environ | {"LAB_LOG": str(self.folder / "log"), "OMP_NUM_THREADS": "1"} | variables
        )

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "lab.py", str(self.folder / "cache")],
            cwd=self.folder,
            env=self.environment(**variables),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> Path:
        process = self.start()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return Path(out.strip())

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []

    def wait_for(self, line: str) -> None:
        for _ in range(600):
            if line in self.log:
                return
            time.sleep(0.05)
        raise TimeoutError(f"no {line!r} in {self.log}")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "lab.py").write_text(LAB)
    return Lab(tmp_path)


def test_changed_code_makes_a_new_artifact(lab: Lab) -> None:
    first = lab.run()
    assert lab.run() == first
    assert lab.log.count("begin") == 1
    code = (lab.folder / "lab.py").read_text()
    (lab.folder / "lab.py").write_text(code.replace("half a file", "not a whole file"))
    assert lab.run() == first  # a comment
    (lab.folder / "lab.py").write_text(code.replace("[1, 2, 3]", "[1, 2, 4]"))
    second = lab.run()
    assert second != first
    assert json.loads((second / "numbers.json").read_text()) == [1, 2, 4]
    assert json.loads((first / "numbers.json").read_text()) == [1, 2, 3]


def test_a_killed_build_is_resumed_and_never_served(lab: Lab) -> None:
    process = lab.start(LAB_HANG="1")
    lab.wait_for("hanging")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    store = ArtifactStore(lab.folder / "cache")
    assert [entry.finished for entry in store.entries()] == [False]
    folder = lab.run()
    assert json.loads((folder / "numbers.json").read_text()) == [1, 2, 3]
    epochs = [line for line in lab.log if line.startswith("epoch")]
    assert epochs == ["epoch 0", "epoch 1", "epoch 2"]  # none is repeated
    assert [entry.finished for entry in store.entries()] == [True]


def test_two_processes_share_one_build(lab: Lab) -> None:
    go = lab.folder / "go"
    first = lab.start(LAB_GO=str(go))
    lab.wait_for("epoch 2")
    second = lab.start()
    assert second.stderr is not None
    assert "being made by another process" in second.stderr.readline()
    go.touch()
    out, err = second.communicate(timeout=60)
    assert second.returncode == 0, err
    assert err == ""  # the notice comes once
    assert first.communicate(timeout=60)[0] == out
    assert lab.log.count("begin") == 1
    assert lab.log[-1] == "end"
