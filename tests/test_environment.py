"""pyproject.toml, constraints.txt, environment.yml and what is installed say the same."""

import re
import sys
import tomllib
from importlib.metadata import requires, version
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from seethrough.checkout import checkout_root

PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+")
EXTRAS = ("book", "test")


@pytest.fixture(scope="module")
def root() -> Path:
    folder = checkout_root()
    assert folder is not None
    return folder


@pytest.fixture(scope="module")
def pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text().splitlines()
    entries = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): pinned for name, pinned in entries}


@pytest.fixture(scope="module")
def declared(root: Path) -> list[Requirement]:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    extras = [entry for extra in EXTRAS for entry in project["optional-dependencies"][extra]]
    return [Requirement(entry) for entry in project["dependencies"] + extras]


def installed_closure(declared: list[Requirement]) -> set[str]:
    """Return the names of everything that the declared requirements install here."""
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = list(declared)
    while waiting:
        requirement = waiting.pop()
        extras = frozenset(requirement.extras)
        entry = (canonicalize_name(requirement.name), extras)
        if entry in seen:
            continue
        seen.add(entry)
        for text in requires(requirement.name) or []:
            needed = Requirement(text)
            holds = needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in (extras or {""})
            )
            if holds:
                waiting.append(needed)
    return {name for name, _ in seen}


def test_pins_are_exact_and_belong_to_no_machine(root: Path) -> None:
    lines = (root / "constraints.txt").read_text().splitlines()
    wrong = [line for line in lines if not line.startswith("#") and not PIN.fullmatch(line)]
    assert wrong == []  # no path, no address, no local version such as +cpu


def test_every_requirement_admits_its_pin(
    declared: list[Requirement], pins: dict[str, str]
) -> None:
    for requirement in declared:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is not None, f"{requirement.name} is not pinned"
        assert requirement.specifier.contains(pin), f"{requirement} does not admit {pin}"


@pytest.mark.skipif(sys.platform != "linux", reason="the pins were made on Linux")
def test_what_is_installed_is_pinned_and_nothing_else_is(
    declared: list[Requirement], pins: dict[str, str]
) -> None:
    # GPU builds of torch bring libraries that the CPU builds do not have.
    closure = {
        name
        for name in installed_closure(declared)
        if name != "triton" and not name.startswith(("nvidia-", "cuda-"))
    }
    assert closure - pins.keys() == set(), "installed and not pinned"
    assert pins.keys() - closure == set(), "pinned and not needed"


def test_the_installed_versions_are_the_pinned_ones(pins: dict[str, str]) -> None:
    found = {name: version(name).partition("+")[0] for name in pins}
    assert found == pins


def test_conda_installs_the_same(root: Path) -> None:
    environment = yaml.safe_load((root / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert pip == ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]
    assert {entry.split("=")[0] for entry in plain} == {"python", "make", "pip"}
    (python,) = [entry.split("=")[1] for entry in plain if entry.startswith("python=")]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    assert SpecifierSet(project["requires-python"]).contains(python)


def test_the_set_up_installs_the_same(root: Path) -> None:
    assert f'EXTRAS = "{",".join(EXTRAS)}"' in (root / "bootstrap.py").read_text()
