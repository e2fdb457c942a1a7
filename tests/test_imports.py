"""Importing the package does not drag in what only some readers have or need."""

import subprocess
import sys

import pytest

VISION = ("timm", "torchvision")
"""What only the studies of vision transformers read."""
HEAVY = ("captum", "matplotlib", "triton", "IPython", "ipywidgets", "papermill")
"""What no computation needs before it asks for it."""

SCRIPT = """
import importlib, pkgutil, sys
import seethrough
for package in {packages!r}:
    module = importlib.import_module(f"seethrough.{{package}}")
    for found in pkgutil.iter_modules(getattr(module, "__path__", []), module.__name__ + "."):
        if not {prefix!r} or found.name.startswith({prefix!r}):
            importlib.import_module(found.name)
print(*sorted(set({heavy!r}) & set(sys.modules)))
"""
PLAIN = (
    "training", "data", "metrics", "autoencoders", "pruning", "claims", "store", "results", "cli",
)  # fmt: skip
WITH_VISION = (*PLAIN, "models", "neurons", "attribution", "studies")


@pytest.mark.parametrize(
    ("packages", "prefix", "heavy"),
    [
        (WITH_VISION, "", HEAVY),
        (PLAIN, "", HEAVY + VISION),
        (("studies",), "seethrough.studies.collapse_", HEAVY + VISION),
    ],
)
def test_computing_needs_no_notebook_and_no_figure(
    packages: tuple[str, ...], prefix: str, heavy: tuple[str, ...]
) -> None:
    """Modules below the notebooks are imported, and none of the heavy packages is."""
    script = SCRIPT.format(packages=packages, prefix=prefix, heavy=heavy)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_package_itself_imports_nothing_heavy() -> None:
    script = "import sys, seethrough; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
