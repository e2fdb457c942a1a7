"""Everything that must pass, in one sequence that stops at the first failure; see `make test`.

1. The tests of the code, and the examples in its docstrings.
2. Every notebook as it stands, at the smoke scale, its tables compared with the saved ones.
3. The book at the smoke scale, from a copy of the working tree: strict build and gates.
4. That book in a browser, where chromium and chromedriver are installed.

Nothing touches the reader's own book or artifacts.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PYTEST = (sys.executable, "-m", "pytest")
WORKERS = ("-n", "logical", "--maxprocesses", "4")
NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "_build", "executed", "runs")


def step(title: str, command: tuple[str, ...], folder: Path = ROOT, **variables: str) -> None:
    """Run one step; end with its exit code if it fails."""
    print(f"\n== {title}", flush=True)
    code = subprocess.run(command, cwd=folder, env=os.environ | variables).returncode
    if code:
        print(f"\n== failed: {title}", flush=True)
        sys.exit(code)


def copy_tree(target: Path) -> None:
    """Copy the working tree as git sees it, or without generated files outside a git checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listed.returncode:
        shutil.copytree(ROOT, target, ignore=NOT_COPIED)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def main() -> None:
    """Run all steps."""
    work = Path(tempfile.mkdtemp(prefix="seethrough-test-"))
    book = work / "book"
    os.environ["SEETHROUGH_CACHE"] = str(work / "cache")
    # Files of Triton kernels need triton, an optional extra, and hold no examples.
    step(
        "tests of the code",
        (*PYTEST, "-q", "-m", "not browser", *WORKERS, "--dist", "worksteal",
         "--ignore-glob", "*/seethrough/kernels/*_triton.py",
         "--doctest-modules", "tests", "src/seethrough"),
        OMP_NUM_THREADS="1",
    )  # fmt: skip
    # The options of the code's tests concern imports and warnings, neither of which happen here.
    step(
        "notebooks",
        (*PYTEST, "-q", "-o", "addopts=", "-o", "filterwarnings=default", "--nbval-lax",
         "--nbval-current-env", *WORKERS, "--dist", "loadscope", "notebooks"),
    )  # fmt: skip
    copy_tree(book)
    step(
        "the book at the smoke scale",
        (sys.executable, "-m", "seethrough.book.build", "--profile", "smoke"),
        folder=book,
        PYTHONPATH=str(book / "src"),
    )
    step(
        "the book in a browser",
        (*PYTEST, "-q", "-rs", "tests/book/test_browser.py"),
        SEETHROUGH_BOOK_HTML=str(book / "_build" / "html"),
    )
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
