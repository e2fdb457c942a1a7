"""Execute one notebook at a profile's scale, for the book.

    python -m seethrough.book.execute collapse_dead_neurons --profile quick \\
        --out book/executed/collapse_dead_neurons.ipynb \\
        --result book/executed/results/collapse_dead_neurons.json

Nothing stands under the names of notebook and result before the whole run has ended well: a
notebook that failed, or whose kernel died, can look finished and is never written.

Only the kernel imports the study: PyTorch takes seconds to import, and a book has many notebooks.
That the parameters are allowed is checked by the build, or by the command line, before.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from seethrough.book.executed_notebook import tidy
from seethrough.book.forked_kernels import ADDRESS_VARIABLE, LONGEST_PATH
from seethrough.book.timings import Timing, read_timing, write_timing
from seethrough.checked_json import parse_json, write_atomically
from seethrough.file_lock import held
from seethrough.parameters import ParameterError, load
from seethrough.provenance import without_folder

LOCKS = Path(".locks")
RESULT = "result"
"""Variable of every notebook that holds its study's result."""


class NotebookError(RuntimeError):
    """A notebook whose result is not that of its study at the parameters that it was given."""


def execute(source: Path, parameters: Mapping[str, Any], out: Path, result: Path) -> Timing:
    """Execute the notebook `source` and write it to `out`, its study's result to `result`.

    `parameters` are plain data; variables that they do not name keep the notebook's values. Returns
    how long it took. Raises one of `failures()`; then both files stay as they were.
    """
    import nbformat

    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="result-") as folder:
        written = Path(folder, "result.json")
        executed = run_notebook(source, parameters, written)
        text = nbformat.writes(tidy(executed)) + "\n"  # type: ignore[no-untyped-call]
        found = written.read_text("utf-8")
    provenance = _provenance(found, source.stem, parameters)
    write_atomically(result, found)
    write_atomically(out, text)
    seconds = round(time.monotonic() - started, 1)
    return Timing(notebook=source.stem, seconds=seconds, profile=provenance["profile"])


def _provenance(result: str, study: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a result comes from, after a look that it is the one that was asked for."""
    content: Any = parse_json(result)
    if content["study"] != study:
        raise NotebookError(f"{RESULT} is of study {content['study']!r}, allowed is {study!r}")
    provenance: dict[str, Any] = content["provenance"]
    for name, given in parameters.items():
        used = provenance["parameters"].get(name)
        if not _same(used, given):
            raise NotebookError(f"{RESULT} comes from {name} = {used!r}, given was {given!r}")
    return provenance


def _same(used: Any, given: Any) -> bool:
    """Return whether a study that used the one was given the other, or a text that says it."""
    if isinstance(used, list) and isinstance(given, list):
        return len(used) == len(given) and all(map(_same, used, given))
    if isinstance(used, float) and isinstance(given, str):  # YAML takes 1e-3 for text
        with suppress(ValueError):
            return used == float(given)
    return bool(used == without_folder(given))


def run_notebook(
    source: Path, parameters: Mapping[str, Any] | None = None, result: Path | None = None
) -> Any:
    """Return the executed notebook; the kernel's messages go to stderr as they come.

    Without parameters it runs as it stands. Its variable `RESULT` is written to the file `result`,
    if one is given, by the kernel: a cell more, which is not in the notebook that is returned.
    """
    import nbformat
    from papermill import execute_notebook  # type: ignore[import-untyped]
    from traitlets.config import Config

    # As a node, for papermill fills in braces in a path.
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    if result is not None:
        write = f"__import__('pathlib').Path({str(result)!r})"
        cell = nbformat.v4.new_code_cell(f"{RESULT}.write({write})")  # type: ignore[no-untyped-call]
        notebook.cells.append(cell)
    threads = int((parameters or {}).get("threads", 1))
    with kernel_of_this_interpreter(threads) as folder:
        executed = execute_notebook(
            notebook,
            None,
            parameters=parameters,
            kernel_name="python3",
            progress_bar=False,
            stderr_file=Messages(),
            config=Config({"KernelManager": address(folder)}),
        )
    if result is not None:
        executed.cells.pop()
    return executed


@contextmanager
def kernel_of_this_interpreter(threads: int) -> Iterator[str]:
    """Make ``python3`` this interpreter with `threads` threads, whatever else is installed.

    Yields the folder for the kernel's files.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        # Quiet: the kernel logs an error when it is told to stop.
        quiet = "--log-level=CRITICAL"
        forked = ADDRESS_VARIABLE in os.environ
        module = "seethrough.book.forked_kernels" if forked else "ipykernel_launcher"
        argv = [sys.executable, "-m", module, quiet, "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": "Python 3", "language": "python"}
        write_atomically(Path(folder, "kernels", "python3", "kernel.json"), json.dumps(spec))
        changes = {
            "JUPYTER_PATH": folder,  # comes before the user's and the system's kernels
            "JUPYTER_RUNTIME_DIR": str(Path(folder, "run")),
            "IPYTHONDIR": str(Path(folder, "ipython")),  # no start-up files of the user
            "OMP_NUM_THREADS": str(threads),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # silences the debugger
        }
        before = {name: os.environ.get(name) for name in changes}
        os.environ.update(changes)
        try:
            yield folder
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def address(folder: str) -> dict[str, str]:
    """Return how to talk to a kernel: by sockets in `folder` on Linux, else by TCP.

    Parallel starts can collide on TCP ports, and TCP is open to other users of the machine. Without
    a path of its own a kernel takes sockets in the current folder, where they collide, too.
    """
    socket = str(Path(folder, "socket"))
    short = len(os.fsencode(socket)) <= LONGEST_PATH
    if sys.platform == "linux" and short:
        return {"transport": "ipc", "ip": socket}
    return {"transport": "tcp"}


def failures() -> tuple[type[Exception], ...]:
    """Return what is raised when a cell fails, the kernel dies, a cell takes too long, or the
    result is another than that which was asked for.
    """
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]

    return PapermillException, DeadKernelError, CellControlSignal, NotebookError


class Messages:
    """A file that passes what a kernel writes to stderr on to ours.

    Progress bars redraw their line; where nobody watches, only finished lines are passed on.
    """

    def write(self, text: str) -> None:
        """Pass on `text`."""
        if not sys.stderr.isatty():
            pieces = text.splitlines(keepends=True)
            text = "".join(piece for piece in pieces if piece.endswith("\n") and piece.strip())
        sys.stderr.write(text)

    def flush(self) -> None:
        """Show what was written."""
        sys.stderr.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a notebook that fails, 2 for wrong arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m seethrough.book.execute", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("notebook", help="name of a notebook in notebooks/")
    parser.add_argument("--profile", required=True, help="smoke, quick, reference or paper")
    parser.add_argument("--out", type=Path, required=True, help="executed notebook")
    parser.add_argument("--result", type=Path, required=True, help="the study's results")
    options = parser.parse_args(arguments)
    source = Path("notebooks", f"{options.notebook}.ipynb")
    try:
        if not source.is_file():
            raise ParameterError(f"there is no notebook {source}")
        parameters = load(options.profile, options.notebook, Path("params"))
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 2
    notice = f"{options.notebook} is running in another process: waiting for it"
    with held(LOCKS / f"{options.notebook}.lock", notice):
        announce(options.notebook, options.profile, read_timing(options.out))
        try:
            timing = execute(source, parameters, options.out, options.result)
        except failures() as error:
            problem = f"{type(error).__name__}: {str(error).strip()}"
            print(f"{options.notebook} failed, nothing is written\n{problem}", file=sys.stderr)
            return 1
        write_timing(options.out, timing)
    print(f"{options.notebook}: {timing.seconds:.1f} s", file=sys.stderr)
    return 0


def announce(notebook: str, profile: str, before: Timing | None) -> None:
    """Say on stderr what begins, and how long it took before at the same scale."""
    known = before is not None and before.profile == profile
    length = f"{before.seconds:.0f} s the last time" if before and known else "for the first time"
    print(f"{notebook}: running at the scale {profile!r} ({length})", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
