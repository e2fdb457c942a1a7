"""The set-up: when it works, when it rests, and what it says when it cannot."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

from seethrough.checkout import checkout_root

# Stands in for venv and pip: makes a folder, counts, and waits where it is told to.
FAKE_RUN = """
import os, pathlib, sys, time
sys.path.insert(0, {root!r})
import bootstrap

def run(command, root, log=""):
    with open(os.path.join(root, "calls"), "a") as calls:
        calls.write(command[2] + "\\n")
    python = pathlib.Path(bootstrap.python_of(root))
    python.parent.mkdir(parents=True, exist_ok=True)
    if not python.exists():
        python.symlink_to(sys.executable)
    while "pip" in command and "HANG" in os.environ and not os.path.exists(os.environ["HANG"]):
        time.sleep(0.02)

bootstrap.run = run
sys.exit(bootstrap.main())
"""


class Project:
    """A copy of bootstrap.py with the files that it reads."""

    def __init__(self, root: Path) -> None:
        self.root = root
        checkout = checkout_root()
        assert checkout is not None
        root.mkdir(parents=True)
        shutil.copy(checkout / "bootstrap.py", root)
        (root / "pyproject.toml").write_text("1")
        (root / "constraints.txt").write_text("2")

    def start(self, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", FAKE_RUN.format(root=str(self.root))],
            env=os.environ | variables,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self) -> str:
        process = self.start()
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        return err

    @property
    def calls(self) -> list[str]:
        path = self.root / "calls"
        return path.read_text().split() if path.exists() else []


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a folder")


@pytest.fixture
def bootstrap(project: Project) -> ModuleType:
    spec = importlib.util.spec_from_file_location("bootstrap", project.root / "bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_works_once(project: Project) -> None:
    project.run()
    assert project.calls == ["venv", "pip"]
    assert project.run() == ""
    assert project.calls == ["venv", "pip"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_other_requirements_are_installed_into_it(project: Project, name: str) -> None:
    project.run()
    (project.root / name).write_text("3")
    project.run()
    assert project.calls == ["venv", "pip", "pip"]


def test_a_moved_folder_gets_a_new_environment(project: Project) -> None:
    project.run()
    project.root = project.root.rename(project.root.with_name("another"))
    project.run()
    assert project.calls == ["venv", "pip"] * 2


def test_an_environment_whose_python_is_gone_is_made_again(project: Project) -> None:
    project.run()
    python = project.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python")
    project.run()
    assert project.calls == ["venv", "pip"] * 2


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"folder": 1}'])
def test_an_environment_with_a_strange_stamp_is_made_again(project: Project, text: str) -> None:
    project.run()
    (project.root / ".venv" / "stamp.json").write_text(text)
    project.run()
    assert project.calls == ["venv", "pip"] * 2


@pytest.mark.parametrize("renewal", [False, True], ids=["first", "renewal"])
def test_a_killed_set_up_is_made_again(project: Project, renewal: bool) -> None:
    if renewal:
        project.run()
        (project.root / "constraints.txt").write_text("3")
    before = len(project.calls)
    process = project.start(HANG=str(project.root / "go"))
    wait_for_install(project, before)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (project.root / ".venv" / "stamp.json").exists()
    left = project.root / ".venv" / "half_a_package"
    left.mkdir()
    project.run()
    assert project.calls[-2:] == ["venv", "pip"]
    assert not left.exists()


def test_two_set_ups_at_once(project: Project) -> None:
    go = project.root / "go"
    first = project.start(HANG=str(go))
    wait_for_install(project, 0)
    second = project.start()
    assert second.stderr is not None
    assert second.stderr.readline() == "another set-up is running here, waiting\n"
    go.touch()
    for process in (first, second):
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert project.calls == ["venv", "pip"]


def wait_for_install(project: Project, before: int) -> None:
    for _ in range(600):
        if "pip" in project.calls[before:]:
            return
        time.sleep(0.05)
    raise TimeoutError(str(project.calls))


def test_the_stamp_names_what_it_depends_on(project: Project, bootstrap: ModuleType) -> None:
    project.run()
    stamp = json.loads((project.root / ".venv" / "stamp.json").read_text())
    assert stamp == bootstrap.wanted_stamp(str(project.root.resolve()))
    assert stamp["python"] == sys.version


@pytest.mark.parametrize("version", [(3, 10, 13), (3, 6, 15), (2, 7, 18)])
def test_an_old_python_is_named(bootstrap: ModuleType, version: tuple[int, ...]) -> None:
    with pytest.raises(
        bootstrap.SetupError, match=r"^Python 3\.11 or newer is needed, this is [23]"
    ):
        bootstrap.check_machine(version)


def test_python_without_venv_names_the_package(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(bootstrap.SetupError, match="^Python's module venv .* python3-venv$"):
        bootstrap.check_machine()


def test_windows_is_named(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(bootstrap.SetupError, match="Linux or macOS is needed"):
        bootstrap.check_machine()


def test_a_failed_command_shows_the_end_of_what_it_said(
    project: Project, bootstrap: ModuleType
) -> None:
    command = [sys.executable, "-c", "import sys; print(*range(99), sep='\\n'); sys.exit(1)"]
    with pytest.raises(bootstrap.SetupError, match=r"failed\n  84\n(.|\n)*\n  98$"):
        bootstrap.run(command, str(project.root), log=str(project.root / "log"))
