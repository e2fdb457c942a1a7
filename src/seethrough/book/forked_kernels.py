"""Kernels that begin with everything imported: forks of one process that has imported it once.

PyTorch, Matplotlib and the studies take a kernel four seconds to import, and at small scales a book
of many notebooks does little else. So a build keeps one process that imports them and waits. The
command that Jupyter starts instead of a kernel,

    python -m seethrough.book.forked_kernels --log-level=CRITICAL -f connection.json

asks that process for a kernel and lives as long as the kernel does: who interrupts or kills it does
so to the kernel. Where no such process answers, the command becomes an ordinary kernel.
"""

import ast
import gc
import json
import os
import select
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from seethrough.fingerprint import remember_loaded_modules

ADDRESS_VARIABLE = "SEETHROUGH_KERNELS"
"""Environment variable with the path of the socket of the process that forks kernels."""
LATE = ("torch._dynamo", "scipy.stats", "sklearn.ensemble")
"""Modules of seconds that PyTorch or our code imports only when they are used."""
LONGEST_PATH = 100
"""Bytes of the path of a socket, below the 107 that Linux allows: Jupyter adds to it."""


def start(notebooks: Iterable[Path]) -> None:
    """Start the process that forks kernels, which then serves all children of this process.

    Call it where nothing is held open, no other thread runs, and CUDA was not asked for anything:
    forks do not survive that. The process ends with the one that called. In every kernel this call
    ends with SystemExit, when the kernel has ended. Without forks (Windows, macOS), or where the
    path of the temporary folder is too long for a socket, nothing happens.
    """
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    address = folder / "socket"
    if sys.platform != "linux" or len(os.fsencode(address)) > LONGEST_PATH:
        folder.rmdir()
        return
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(address))
    listener.listen(64)
    lifeline, end = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    if os.fork():
        listener.close()
        os.close(lifeline)
        os.environ[ADDRESS_VARIABLE] = str(address)
        return  # `end` stays open as long as this process lives, and no child inherits it
    os.close(end)
    try:
        connection = _fork_on_request(listener, lifeline, notebooks)
    except BaseException:
        address.unlink()
        folder.rmdir()
        raise
    _become_kernel(connection)


def _fork_on_request(
    listener: socket.socket, lifeline: int, notebooks: Iterable[Path]
) -> socket.socket:
    """Serve until the other end of `lifeline` closes; in every fork, return its connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the build that is interrupted ends, and so do we
    # What a kernel sets before anything is imported.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    names = ["ipykernel.kernelapp", *(name for path in notebooks for name in _imported_names(path))]
    for name in names:
        with suppress(ImportError):  # the notebook will say so
            import_module(name)
    for name in LATE if "torch" in sys.modules else ():
        with suppress(ImportError):
            import_module(name)
    remember_loaded_modules()  # as they are now: files may change before a kernel begins
    gc.collect()
    gc.freeze()  # what all share is neither written to nor taken down piece by piece
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a kernel here
    waited_for = [listener.fileno(), lifeline]
    while lifeline not in select.select(waited_for, [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            os.close(lifeline)
            return connection
        connection.close()
    raise SystemExit


def _imported_names(notebook: Path) -> Iterator[str]:
    """Yield the modules that a notebook's cells import, and names that may be modules in them."""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] != "code":
            continue
        with suppress(SyntaxError):  # magics
            for node in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(node, ast.Import):
                    yield from (alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield node.module
                    yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _become_kernel(connection: socket.socket) -> NoReturn:
    """Be the kernel that the other side of the connection asks for, in its place."""
    _, descriptors, _, _ = socket.recv_fds(connection, 1, 3)
    for descriptor, standard in zip(descriptors, (0, 1, 2), strict=True):
        os.dup2(descriptor, standard)
        os.close(descriptor)
    with connection.makefile("rb") as lines:
        request = json.loads(lines.readline())
    os.setsid()  # a group of its own, as Jupyter's kernels have
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    threads = request["environment"].get("OMP_NUM_THREADS", "")
    if "torch" in sys.modules and threads.isdigit():  # the library has read the variable long ago
        import torch

        torch.set_num_threads(int(threads))
    connection.sendall(f"{os.getpid()}\n".encode())
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    from ipykernel.kernelapp import launch_new_instance

    # 1: it need not look after a parent, we do.
    launch_new_instance([*request["arguments"], "--IPKernelApp.parent_handle=1"])
    raise SystemExit


def _end_with(connection: socket.socket) -> None:
    """Kill this process and those that it has started when the other side is gone."""
    with suppress(OSError):
        while connection.recv(1):
            pass
    os.killpg(0, signal.SIGKILL)


def main(arguments: Sequence[str]) -> None:
    """Ask for a kernel with these command line arguments and live as long as it."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(os.environ.get(ADDRESS_VARIABLE, ""))
    except OSError:
        command = [sys.executable, "-m", "ipykernel_launcher", *arguments]
        os.execv(sys.executable, command)
    request = {
        "arguments": list(arguments),
        "folder": os.getcwd(),
        "environment": dict(os.environ),
    }
    socket.send_fds(connection, [b"\n"], [0, 1, 2])
    connection.sendall(json.dumps(request).encode() + b"\n")
    with connection.makefile("rb") as lines:
        kernel = int(lines.readline() or "0")  # empty: the process that forks has ended
    if kernel:
        signal.signal(signal.SIGINT, lambda *_: os.kill(kernel, signal.SIGINT))
        parent = os.getppid()
        while os.getppid() == parent and not select.select([connection], [], [], 1.0)[0]:
            pass  # neither has the kernel ended nor the one that wanted it


if __name__ == "__main__":
    main(sys.argv[1:])
