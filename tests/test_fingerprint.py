"""Fingerprints: what changes them and what does not, on packages written for the purpose."""

import ast
import importlib
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import seethrough
from seethrough.fingerprint import fingerprint

FILES = {
    "__init__.py": "raise_nothing = 1\n",
    "train.py": """
        '''Train.'''
        from .layers import encoder, loss  # two submodules
        import PKG.data
        from PKG.short import STEP

        def train(n: int) -> int:
            '''Return n.'''
            from PKG.late import finish
            return n
    """,
    "layers/__init__.py": "",
    "layers/encoder.py": "from ..deep import DEPTH\n",
    "layers/loss.py": "LOSS = 1\n",
    "layers/unused.py": "UNUSED = 1\n",
    "data.py": "DATA = 1\n",
    "deep.py": "from . import data\nDEPTH = 1\n",
    "late.py": "def finish() -> None: ...\n",
    "short/__init__.py": "from PKG.short.steps import STEP\n",
    "short/steps.py": "STEP = 1\n",
    "plots.py": "PLOTS = 1\n",
}
Package = Callable[[str, str], str]
numbers = itertools.count()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """A package of its own; calling it edits a file and returns the new fingerprint of train."""
    name = f"fingerprinted_{next(numbers)}"
    for file, text in FILES.items():
        path = tmp_path / name / file
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = text.strip("\n").splitlines()
        margin = min((len(x) - len(x.lstrip()) for x in lines if x.strip()), default=0)
        path.write_text("\n".join(x[margin:] for x in lines).replace("PKG", name) + "\n")
    monkeypatch.syspath_prepend(tmp_path)

    def edit(file: str, text: str) -> str:
        path = tmp_path / name / file
        path.write_text(path.read_text() + text)
        importlib.invalidate_caches()
        return fingerprint(f"{name}.train")

    edit("train.py", "")
    yield edit
    for module in [module for module in sys.modules if module.startswith(name)]:
        del sys.modules[module]


def test_it_is_a_sha256_and_stays(package: Package) -> None:
    first = package("train.py", "")
    assert len(first) == 64
    assert int(first, 16) >= 0
    assert package("train.py", "") == first


@pytest.mark.parametrize(
    "file",
    [
        "train.py",  # itself
        "layers/encoder.py",  # from .layers import encoder
        "layers/loss.py",
        "data.py",  # import package.data
        "deep.py",  # imported by an imported module, relative
        "late.py",  # imported inside a function
        "short/__init__.py",  # a name is imported from it
        "short/steps.py",  # what it re-exports
    ],
)
def test_code_behind_the_module_changes_it(package: Package, file: str) -> None:
    assert package(file, "ANOTHER = 2\n") != package("plots.py", "")[:0] + package_before(package)


def package_before(package: Package) -> str:
    """The edits above are made before this is evaluated, so compare with the remembered one."""
    return BEFORE[id(package)]


BEFORE: dict[int, str] = {}
