"""Fingerprints: what changes them and what does not, on packages written for the purpose."""

import ast
import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seethrough
from seethrough.fingerprint import fingerprint, read_code

TRAIN = '''"""Train."""
from .layers import encoder, loss  # two submodules
import PKG.data
from PKG.short import STEP
import json


def train(n: int) -> int:
    """Return n."""
    from PKG.late import finish

    return n  # as it is
'''
FILES = {
    "__init__.py": "",
    "train.py": TRAIN,
    "layers/__init__.py": "",
    "layers/encoder.py": "from ..deep import DEPTH\n",
    "layers/loss.py": "LOSS = 1\n",
    "layers/unused.py": "UNUSED = 1\n",
    "data.py": "DATA = 1\n",
    "deep.py": "from . import data\nDEPTH = 1\n",
    "late.py": "def finish() -> None: ...\n",
    "short/__init__.py": "from PKG.short.steps import STEP\n",
    "short/steps.py": "STEP = 1\n",
    "plots.py": "from . import train\n",
}
numbers = itertools.count()


class Package:
    """A package on sys.path whose files a test edits."""

    def __init__(self, folder: Path) -> None:
        self.name = f"fingerprinted_{next(numbers)}"
        self.folder = folder / self.name
        for file, text in FILES.items():
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text.replace("PKG", self.name))

    def fingerprint(self, *beside: str) -> str:
        return fingerprint(f"{self.name}.train", beside=tuple(f"{self.name}.{x}" for x in beside))

    def edit(self, file: str, before: str, after: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after, 1) if before else text + after)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    made = Package(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield made
    for module in [module for module in sys.modules if module.startswith(made.name)]:
        del sys.modules[module]


def test_it_is_a_sha256_and_stays(package: Package) -> None:
    first = package.fingerprint()
    assert len(first) == 64
    assert int(first, 16) > 0
    assert package.fingerprint() == first


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
    first = package.fingerprint()
    package.edit(file, "", "ANOTHER = 2\n")
    assert package.fingerprint() != first


@pytest.mark.parametrize("file", ["layers/unused.py", "plots.py", "layers/__init__.py"])
def test_code_that_is_not_behind_it_does_not(package: Package, file: str) -> None:
    first = package.fingerprint()
    package.edit(file, "", "ANOTHER = 2\n")
    assert package.fingerprint() == first


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""Train."""', '"""Train more, and better."""'),
        ('    """Return n."""\n', ""),
        ("# as it is", "# for good"),
        ("(n: int) -> int:", "(\n    n: int,\n) -> int:"),
    ],
    ids=["module docstring", "no docstring", "comment", "layout"],
)
def test_words_and_layout_do_not_count(package: Package, before: str, after: str) -> None:
    first = package.fingerprint()
    package.edit("train.py", before, after)
    assert package.fingerprint() == first


def test_a_text_that_does_something_counts(package: Package) -> None:
    first = package.fingerprint()
    package.edit("train.py", "return n", 'return "n"')
    second = package.fingerprint()
    package.edit("train.py", 'return "n"', 'return "m"')
    assert len({first, second, package.fingerprint()}) == 3


def test_a_new_submodule_instead_of_a_name_counts(package: Package) -> None:
    (package.folder / "layers" / "norm.py").write_text("NORM = 1\n")
    package.edit("train.py", "encoder, loss", "encoder, loss, norm")
    first = package.fingerprint()
    package.edit("layers/norm.py", "1", "2")
    assert package.fingerprint() != first


def test_modules_beside_are_left_out(package: Package) -> None:
    first = package.fingerprint("short")
    package.edit("short/steps.py", "1", "2")
    assert package.fingerprint("short") == first
    package.edit("data.py", "1", "2")
    assert package.fingerprint("short") != first


def test_loaded_code_keeps_its_fingerprint_until_it_is_loaded_again(package: Package) -> None:
    module = importlib.import_module(f"{package.name}.train")
    first = package.fingerprint()
    package.edit("train.py", "return n", "return n + 1000")
    assert module.train(1) == 1
    assert package.fingerprint() == first  # the code in memory is the old one
    importlib.invalidate_caches()
    assert importlib.reload(module).train(1) == 1001
    assert package.fingerprint() != first


def test_a_circle_of_imports_ends(package: Package) -> None:
    package.edit("deep.py", "", f"import {package.name}.train\n")
    assert len(package.fingerprint()) == 64


@pytest.mark.parametrize("module", ["__main__", "fingerprinted_nowhere.train", "sys"])
def test_a_module_without_source_is_refused(module: str) -> None:
    with pytest.raises(ValueError, match=f"{module}.* has no Python source file"):
        fingerprint(module)


def test_read_code_lists_imports() -> None:
    _, imports = read_code("import a.b\nfrom . import c\nfrom ..d import e as f\n")
    assert imports == (("a.b", ()), (".", ("c",)), ("..d", ("e",)))


def test_package_files_of_seethrough_compute_nothing() -> None:
    # An __init__ counts only when a name is imported from it, so none may act on its own.
    root = Path(seethrough.__file__).parent
    harmless = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.FunctionDef)
    for path in root.rglob("__init__.py"):
        for node in ast.parse(path.read_text()).body:
            text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            assert text or isinstance(node, (*harmless, ast.ClassDef)), (path, node.lineno)
