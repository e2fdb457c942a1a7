import io
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from seethrough.checkout import checkout_root

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPages:
    html: dict[str, str]
    """Name of each page -> its main part, without the theme around it."""
    warnings: list[str]
    """The lines that a strict build would fail on."""
    read: set[str]
    """Pages that this build read; the others were up to date."""


def main_part(html: str) -> str:
    """Return the page's own part of a built file."""
    return html.partition('<div class="body" role="main">')[2].partition('<div class="clearer">')[0]


@pytest.fixture
def build_pages(tmp_path: Path) -> Callable[..., BuiltPages]:
    """Build Markdown pages with the book's extension and no theme; again for a second build."""

    def build(pages: Mapping[str, str] | None = None) -> BuiltPages:
        root = tmp_path / "book_root"
        root.mkdir(exist_ok=True)
        for name, text in (pages or {}).items():
            (root / f"{name}.md").write_text(text, encoding="utf-8")
        settings = {
            "extensions": ["myst_parser", "seethrough.book.sphinx_extension"],
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "root_doc": "page",
            "html_theme": "basic",
            "exclude_patterns": ["_out"],
        }
        warnings = io.StringIO()
        with patch_docutils(str(root)), docutils_namespace():
            app = Sphinx(
                srcdir=str(root),
                confdir=None,
                outdir=str(root / "_out" / "html"),
                doctreedir=str(root / "_out" / "trees"),
                buildername="html",
                confoverrides=settings,
                status=None,
                warning=warnings,
            )
            read: set[str] = set()
            app.connect("source-read", lambda _, name, __: read.add(name))
            app.build()
        html = {
            path.stem: main_part(path.read_text(encoding="utf-8"))
            for path in (root / "_out" / "html").glob("*.html")
        }
        lines = ESCAPES.sub("", warnings.getvalue()).splitlines()
        return BuiltPages(html=html, warnings=[line for line in lines if line], read=read)

    return build


@pytest.fixture
def book_root(tmp_path: Path) -> Path:
    """The folder that `build_pages` builds from."""
    root = tmp_path / "book_root"
    root.mkdir(exist_ok=True)
    return root


TOY_STUDY = '''
"""A study that counts to three, keeps checkpoints, and waits where it is told to."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from seethrough.provenance import collect
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    width: int = 1
    threads: int = 1
    device: str = "cpu"


def log(text: str) -> None:
    with open(os.environ["TOY_LOG"], "a") as stream:
        stream.write(text + "\\n")


def build(parameters: Parameters, workspace: Path) -> None:
    state = workspace / "checkpoint" / "step"
    state.parent.mkdir(exist_ok=True)
    for step in range(int(state.read_text()) if state.exists() else 0, 3):
        log(f"step {step} of width {parameters.width}")
        state.write_text(str(step + 1))
        if step == 1:
            while "TOY_GO" in os.environ and not os.path.exists(os.environ["TOY_GO"]):
                time.sleep(0.02)
    row = Row("width", "width", {}, "units", (float(parameters.width), 3.0))
    StudyResult("toy", (row,), (), collect("toy", parameters, seconds=1.0)).write(
        workspace / "result.json"
    )


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    folder = (store or ArtifactStore()).get(parameters, build)
    return StudyResult.read(folder / "result.json")
'''
TOY_REGISTRY = """
STUDIES.clear()
STUDIES["toy"] = StudySpec(name="toy", title="A toy", module="seethrough.studies.toy")
"""
TOY_CELLS = [
    ("markdown", [], "# A toy"),
    ("code", ["parameters", "keep-me"], 'width: int = 1\nthreads: int = 1\ndevice: str = "cpu"'),
    (
        "code",
        [],
        "import sys\nfrom seethrough.studies.toy import Parameters, log, run\n"
        'log("notebook")\nprint("a message", file=sys.stderr)\n'
        "result = run(Parameters(width=width, threads=threads, device=device))\n"
        'print("mean", result.row("width").mean)',
    ),
]
TOY_GATES = 'import sys\nprint("gates passed over", sys.argv[1])\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyProject:
    """A project with one quick study and its notebook, one page, and the real machinery."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "book" / "executed" / "toy.ipynb"

    @property
    def result(self) -> Path:
        return self.root / "book" / "executed" / "results" / "toy.json"

    @property
    def site(self) -> Path:
        return self.root / "_build" / "html"

    @property
    def log(self) -> list[str]:
        """What study and notebook have said so far."""
        path = self.root / "log"
        return path.read_text().splitlines() if path.exists() else []

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start ``python -m seethrough.book.…`` in the project, in a process group of its own.

        With the variable SILENT nobody reads what it prints.
        """
        environment = os.environ | {
            "PYTHONPATH": str(self.root / "src"),
            "SEETHROUGH_CACHE": str(self.root / "cache"),
            "TOY_LOG": str(self.root / "log"),
            "OMP_NUM_THREADS": "1",
        }
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            cwd=self.root,
            env=environment | variables,
            stdout=subprocess.DEVNULL if "SILENT" in variables else subprocess.PIPE,
            stderr=subprocess.DEVNULL if "SILENT" in variables else subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command as `start` does and wait for its end."""
        process = self.start(*arguments, **variables)
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def wait_for(self, line: str) -> None:
        """Wait until study or notebook say `line`."""
        for _ in range(1200):
            if line in self.log:
                return
            time.sleep(0.05)
        raise TimeoutError(f"no {line!r} in {self.log}")

    def write_notebook(self, *last_cells: str) -> None:
        """Write the notebook, with further cells of code at its end."""
        cells = [*TOY_CELLS, *(("code", [], source) for source in last_cells)]
        notebook = nbformat.v4.new_notebook(
            cells=[
                nbformat.v4.new_code_cell(source, metadata={"tags": tags})
                if kind == "code"
                else nbformat.v4.new_markdown_cell(source)
                for kind, tags, source in cells
            ],
            metadata={"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}},
        )
        nbformat.write(notebook, self.root / "notebooks" / "toy.ipynb")


@pytest.fixture
def tiny_project(tmp_path: Path) -> TinyProject:
    project = TinyProject(root=tmp_path / "a folder {of} 'mine'")
    root, checkout = project.root, checkout_root()
    assert checkout is not None
    shutil.copytree(
        checkout / "src", root / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
    )
    package = root / "src" / "seethrough"
    registry = package / "studies" / "__init__.py"
    registry.write_text(registry.read_text() + TOY_REGISTRY)
    (package / "studies" / "toy.py").write_text(TOY_STUDY)
    (package / "book" / "gates.py").write_text(TOY_GATES)
    (package / "metrics" / "__init__.py").write_text("")  # no torch, for speed
    shutil.copy(checkout / "Snakefile", root)
    files = {
        "pyproject.toml": "",
        "constraints.txt": "",
        "_config.yml": "title: Toy\nexecute:\n  execute_notebooks: 'off'\n"
        "only_build_toc_files: true\nexclude_patterns: [notebooks/**, src/**]\n",
        "_toc.yml": "format: jb-book\nroot: book/intro\nchapters:\n- file: book/executed/toy\n",
        "book/intro.md": "# Intro\n\nA page.\n",
        "params/smoke.yml": "toy: {width: 1}\n",
        "params/quick.yml": "toy: {width: 5}\n",
        "params/paper.yml": "toy: {width: 9, threads: 64}\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "notebooks").mkdir()
    project.write_notebook()
    return project
