"""torchvision loads: unchanged where it does, repaired after one error, not after another."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import torch

from seethrough.models import torchvision_compatibility

MISSING = "operator torchvision::nms does not exist"
LEFT_OVER = "torchvision.left_over_by_the_failed_import"


class FakeImport:
    """Stands for importlib.import_module: raises the given errors first, one per call."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.names: list[str] = []

    def __call__(self, name: str) -> ModuleType:
        self.names.append(name)
        if self.errors:
            sys.modules[LEFT_OVER] = ModuleType(LEFT_OVER)
            raise self.errors.pop(0)
        return ModuleType(name)


class FakeLibrary:
    """Stands for torch.library.Library."""

    made: list["FakeLibrary"]

    def __init__(self, namespace: str, kind: str) -> None:
        self.namespace, self.kind, self.schemas = namespace, kind, list[str]()
        self.made.append(self)

    def define(self, schema: str) -> None:
        self.schemas.append(schema)


@pytest.fixture
def libraries(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[FakeLibrary]]:
    """No definition was made yet, and those made are the fakes returned; sys.modules is put back.

    The list is shared with the class, so it fills while the test runs.
    """
    made: list[FakeLibrary] = []
    monkeypatch.setattr(FakeLibrary, "made", made, raising=False)
    monkeypatch.setattr(torchvision_compatibility, "_definitions", None)
    monkeypatch.setattr(torch.library, "Library", FakeLibrary)
    kept = {name: module for name, module in sys.modules.items() if is_torchvision(name)}
    yield made
    for name in [name for name in sys.modules if is_torchvision(name)]:
        del sys.modules[name]
    sys.modules.update(kept)


def is_torchvision(name: str) -> bool:
    return name.partition(".")[0] == "torchvision"


def run_import(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> tuple[bool, FakeImport]:
    fake = FakeImport(*errors)
    with monkeypatch.context() as patched:
        patched.setattr(importlib, "import_module", fake)
        return torchvision_compatibility.import_torchvision(), fake


def test_inert_where_torchvision_loads(libraries: list[FakeLibrary], monkeypatch: Any) -> None:
    repaired, fake = run_import(monkeypatch)
    assert not repaired
    assert fake.names == ["torchvision"]
    assert libraries == []


def test_repaired_after_the_missing_operator(
    libraries: list[FakeLibrary], monkeypatch: Any
) -> None:
    repaired, fake = run_import(monkeypatch, RuntimeError(MISSING))
    assert repaired
    assert fake.names == ["torchvision", "torchvision"]
    # The half-made package is imported anew, and what only looks like it is left alone.
    assert LEFT_OVER not in sys.modules
    assert "seethrough.models.torchvision_compatibility" in sys.modules
    (library,) = libraries
    assert (library.namespace, library.kind) == ("torchvision", "FRAGMENT")
    assert [schema.partition("(")[0] for schema in library.schemas] == ["nms", "qnms"]


def test_operators_are_defined_once(libraries: list[FakeLibrary], monkeypatch: Any) -> None:
    for _ in range(2):
        run_import(monkeypatch, RuntimeError(MISSING))
    assert len(libraries) == 1


@pytest.mark.parametrize(
    "error", [RuntimeError("CUDA driver is too old"), ImportError("No module named torchvision")]
)
def test_another_error_is_raised_on(
    libraries: list[FakeLibrary], monkeypatch: Any, error: Exception
) -> None:
    with pytest.raises(type(error), match=str(error)):
        run_import(monkeypatch, error)
    assert libraries == []


def test_an_error_after_the_repair_is_raised_on(
    libraries: list[FakeLibrary], monkeypatch: Any
) -> None:
    with pytest.raises(RuntimeError, match="another fault"):
        run_import(monkeypatch, RuntimeError(MISSING), RuntimeError("another fault"))


def test_timm_imports_in_a_new_process() -> None:
    script = (
        "import seethrough.models.torchvision_compatibility as c, timm;"
        "print(c.REPAIRED, timm.is_model('deit3_base_patch16_224'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1] == "True"
