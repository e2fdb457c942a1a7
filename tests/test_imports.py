"""Importing the package does not drag in what only some readers have or need."""

import subprocess
import sys

HEAVY = ("timm", "torchvision", "matplotlib", "triton", "IPython", "ipywidgets", "papermill")

SCRIPT = """
import importlib, pkgutil, sys
import seethrough
light = [name for name in {packages!r}]
for package in light:
    module = importlib.import_module(f"seethrough.{{package}}")
    for found in pkgutil.iter_modules(getattr(module, "__path__", []), module.__name__ + "."):
        importlib.import_module(found.name)
print(*sorted(set({heavy!r}) & set(sys.modules)))
"""
PACKAGES = (
    "training", "data", "metrics", "autoencoders", "models", "studies", "claims", "store",
    "results", "cli",
)  # fmt: skip


def test_computing_needs_no_notebook_and_no_figure() -> None:
    """Every module below the notebooks is imported, and none of the heavy packages is."""
    script = SCRIPT.format(packages=PACKAGES, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_the_package_itself_imports_nothing_heavy() -> None:
    script = "import sys, seethrough; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["False"]
