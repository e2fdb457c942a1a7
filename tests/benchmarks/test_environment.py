"""The environment of the peers: when it works, when it rests, what it says when it cannot."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from seethrough.checkout import checkout_root

ROOT = checkout_root()
assert ROOT is not None
PEERS = ROOT / "benchmarks" / "peers"


@pytest.fixture
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("peers_environment", PEERS / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with what the script reads: requirements, stand-ins, and a .venv with a module."""
    folder = tmp_path / "benchmarks" / "peers"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("none==1\n")
    (folder / "stand_ins").symlink_to(PEERS / "stand_ins")
    (tmp_path / "constraints.txt").write_text("torch==2\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = tmp_path / ".venv" / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (packages / "product_module.py").write_text("ANSWER = 42\n")
    return tmp_path


def test_made_once_and_again_after_a_change(
    environment: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Path] = []
    monkeypatch.setattr(environment, "install", calls.append)
    assert environment.set_up(project) is True
    assert environment.set_up(project) is False
    assert calls == [project]
    (project / "benchmarks" / "peers" / "requirements.txt").write_text("none==2\n")
    assert environment.set_up(project) is True
    assert calls == [project, project]


def test_it_sees_the_product_and_the_stand_ins(
    environment: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "install", lambda root: None)
    environment.set_up(project)
    code = (
        "import product_module, nnsight, cv2; print(product_module.ANSWER, nnsight.LanguageModel)"
    )
    done = subprocess.run(
        [environment.python_of(project), "-c", code], capture_output=True, text=True
    )
    assert done.stdout == "42 <class 'object'>\n", done.stderr


def test_a_failed_installation_leaves_it_unfinished(
    environment: ModuleType, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is no pip in this .venv: as without a network, the command fails.
    with pytest.raises(environment.PeersError, match="(?s)is there a network.*No module named pip"):
        environment.set_up(project)
    assert environment.found_stamp(project) == {}
    calls: list[Path] = []
    monkeypatch.setattr(environment, "install", calls.append)
    assert environment.set_up(project) is True
    assert calls == [project]


def test_without_the_product_it_says_what_to_do(environment: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(environment.PeersError, match="^there is no .venv; run make setup first$"):
        environment.set_up(tmp_path)


def test_every_version_is_exact() -> None:
    lines = (PEERS / "requirements.txt").read_text().splitlines()
    names = [line for line in lines if not line.startswith("#")]
    assert all(line.count("==") == 1 for line in names)
    for name in ("sae-lens==6.54.12", "dictionary-learning==0.1.0", "overcomplete==0.3.0"):
        assert name in [line.lower() for line in names]
    assert not any(line.startswith(("torch==", "numpy==")) for line in names)
