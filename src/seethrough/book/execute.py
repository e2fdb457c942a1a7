"""Execute one notebook with given parameters, for the book or for a single run.

    python -m seethrough.book.execute collapse_dead_neurons --parameters '{"width": 1000}' \\
        --out book/executed/collapse_dead_neurons.ipynb \\
        --result book/executed/results/collapse_dead_neurons.json

Nothing stands under the names of notebook and result before the whole run has ended well: a
notebook that failed, or whose kernel died, can look finished and is never written.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seethrough import studies
from seethrough.book.executed_notebook import tidy
from seethrough.book.timings import Timing, read_timing, write_timing
from seethrough.checked_json import write_atomically
from seethrough.file_lock import held
from seethrough.parameters import ParameterError, build, plain, profile_of
from seethrough.store import ArtifactStore

LOCKS = Path(".locks")


def execute(
    source: Path, parameters: Any, out: Path, result: Path, store: ArtifactStore | None = None
) -> float:
    """Execute the notebook `source` and write it to `out`, its study's results to `result`.

    `parameters` is the dataclass of the study that has the notebook's name. Returns wall-clock
    seconds. Raises what papermill raises when a cell fails or the kernel dies; then both files stay
    as they were.
    """
    import nbformat

    started = time.monotonic()
    executed = run_notebook(source, parameters)
    text = nbformat.writes(tidy(executed)) + "\n"  # type: ignore[no-untyped-call]
    # The notebook has computed the study: here it comes out of the artifact store.
    found = studies.get(source.stem).load().run(parameters, store or ArtifactStore())
    found.write(result)
    write_atomically(out, text)
    return time.monotonic() - started


def run_notebook(source: Path, parameters: Any = None) -> Any:
    """Return the executed notebook; the kernel's messages go to stderr as they come.

    Without parameters it runs as it stands.
    """
    import nbformat
    from papermill import execute_notebook  # type: ignore[import-untyped]
    from traitlets.config import Config

    # As a node, for papermill fills in braces in a path.
    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    with kernel_of_this_interpreter(getattr(parameters, "threads", 1)) as folder:
        return execute_notebook(
            notebook,
            None,
            parameters=None if parameters is None else plain(parameters),
            kernel_name="python3",
            progress_bar=False,
            stderr_file=Messages(),
            config=Config({"KernelManager": address(folder)}),
        )


@contextmanager
def kernel_of_this_interpreter(threads: int) -> Iterator[str]:
    """Make ``python3`` this interpreter with `threads` threads, whatever else is installed.

    Yields the folder for the kernel's files.
    """
    with tempfile.TemporaryDirectory(prefix="kernel-") as folder:
        # Quiet: the kernel logs an error when it is told to stop.
        quiet = "--log-level=CRITICAL"
        argv = [sys.executable, "-m", "ipykernel_launcher", quiet, "-f", "{connection_file}"]
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
    a path of its own a kernel takes sockets in the current folder, where they collide, too. The
    path of a socket may have 107 bytes.
    """
    socket = str(Path(folder, "socket"))
    short = len(os.fsencode(socket)) <= 100
    if sys.platform == "linux" and short:
        return {"transport": "ipc", "ip": socket}
    return {"transport": "tcp"}


def failures() -> tuple[type[Exception], ...]:
    """Return what is raised when a cell fails, the kernel dies, or a cell takes too long."""
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from papermill.exceptions import PapermillException  # type: ignore[import-untyped]

    return PapermillException, DeadKernelError, CellControlSignal


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
    parser.add_argument("--parameters", default="{}", help="parameters as a JSON object")
    parser.add_argument("--out", type=Path, required=True, help="executed notebook")
    parser.add_argument("--result", type=Path, required=True, help="the study's results")
    options = parser.parse_args(arguments)
    source = Path("notebooks", f"{options.notebook}.ipynb")
    try:
        if not source.is_file():
            raise ParameterError(f"there is no notebook {source}")
        parameters = parse_parameters(options.notebook, options.parameters)
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 2
    profile = profile_of(options.notebook, parameters)
    notice = f"{options.notebook} is running in another process: waiting for it"
    with held(LOCKS / f"{options.notebook}.lock", notice):
        announce(options.notebook, profile, read_timing(options.out))
        try:
            seconds = execute(source, parameters, options.out, options.result)
        except failures() as error:
            problem = f"{type(error).__name__}: {str(error).strip()}"
            print(f"{options.notebook} failed, nothing is written\n{problem}", file=sys.stderr)
            return 1
        timing = Timing(notebook=options.notebook, seconds=round(seconds, 1), profile=profile)
        write_timing(options.out, timing)
    print(f"{options.notebook}: {seconds:.1f} s", file=sys.stderr)
    return 0


def parse_parameters(study: str, text: str) -> Any:
    """Return the study's parameters from a JSON object; raise ParameterError with a sentence."""
    try:
        values = json.loads(text)
    except json.JSONDecodeError as error:
        raise ParameterError(f"--parameters is {text!r}, allowed is a JSON object") from error
    if not isinstance(values, dict):
        raise ParameterError(f"--parameters is {text!r}, allowed is a JSON object")
    return build(studies.get(study).load().Parameters, values)


def announce(notebook: str, profile: str, before: Timing | None) -> None:
    """Say on stderr what begins, and how long it took before at the same scale."""
    known = before is not None and before.profile == profile
    length = f"{before.seconds:.0f} s the last time" if before and known else "for the first time"
    print(f"{notebook}: running at the scale {profile!r} ({length})", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
