"""Provenance: git state by real repositories, and what is collected."""

import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from seethrough import __version__
from seethrough.provenance import collect, device_name, git_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    seeds: tuple[int, ...] = (3, 1)
    device: str = "cpu"
    threads: int = 2
    path: str = ""


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "src"
    folder.mkdir()
    (folder / "code.py").write_text("1")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "first")
    return tmp_path


def test_commit_of_a_clean_checkout(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert git_state(repository / "src") == (commit, False)


@pytest.mark.parametrize("name", ["src/code.py", "src/new.py"])
def test_changed_code_is_dirty(repository: Path, name: str) -> None:
    (repository / name).write_text("2")
    assert git_state(repository / "src")[1]


def test_other_files_are_not(repository: Path) -> None:
    (repository / "notes.md").write_text("2")
    assert not git_state(repository / "src")[1]


def test_outside_a_checkout(tmp_path: Path) -> None:
    assert git_state(tmp_path) == (None, False)


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert git_state(tmp_path) == (None, False)


def test_installed_inside_someone_elses_repository(repository: Path) -> None:
    installed = repository / "src" / "site-packages"
    installed.mkdir()
    (installed / "code.py").write_text("1")
    assert git_state(installed) == (None, False)


def test_without_git(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert git_state(repository / "src") == (None, False)


def test_variables_of_a_git_hook_do_not_mislead(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = git_state(repository / "src")
    monkeypatch.setenv("GIT_DIR", str(repository / "nowhere"))
    assert git_state(repository / "src") == expected


def test_what_is_collected() -> None:
    made = collect("no_such_study", Parameters(path="/home/someone/dsprites.npz"), seconds=1.23456)
    assert made.parameters == {
        "seeds": [3, 1],
        "device": "cpu",
        "threads": 2,
        "path": "dsprites.npz",  # the folder is nobody's business
    }
    assert (made.seeds, made.profile, made.device, made.threads) == ((3, 1), "custom", "cpu", 2)
    assert made.versions == {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": version("numpy"),
        "seethrough": __version__,
    }
    assert made.seconds == 1.235


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_name_of_a_gpu() -> None:
    assert device_name("cuda") == torch.cuda.get_device_name(0)
