"""Make or renew .venv, the project's own Python environment; needs nothing but Python itself.

    python3 bootstrap.py

Done before, it ends at once. An environment that was left half made, belongs to another folder or
another Python, or does not fit pyproject.toml and constraints.txt any more, is made again. This
file must start on old versions of Python, to be able to say that they are too old.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys

OLDEST = (3, 11)
ROOT = os.path.dirname(os.path.realpath(__file__))
EXTRAS = "book,test"
INPUTS = ("pyproject.toml", "constraints.txt")


class SetupError(Exception):
    """Something is missing; the message is one line that names it."""


def check_machine(version: tuple = sys.version_info[:3]) -> None:
    """Raise SetupError if this Python cannot make the environment."""
    shown = ".".join(map(str, version))
    if tuple(version[:2]) < OLDEST:
        raise SetupError(
            "Python {}.{} or newer is needed, this is {} ({}): install one and name it, as in "
            "make book PYTHON=python3.12".format(*OLDEST, shown, sys.executable)
        )
    try:
        import fcntl  # noqa: F401
    except ImportError:
        raise SetupError("Linux or macOS is needed; on Windows, work inside WSL") from None
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetupError(
            "Python's module venv is incomplete here; on Debian and Ubuntu: "
            "apt-get install python3-venv"
        ) from None


def wanted_stamp(root: str) -> dict:
    """Return what a finished environment in `root` says about itself."""
    inputs = hashlib.sha256()
    for name in INPUTS:
        with open(os.path.join(root, name), "rb") as file:
            inputs.update(file.read() + b"\0")
    return {
        "folder": root,  # scripts in the environment carry its path
        "python": sys.version,
        "inputs": inputs.hexdigest(),
    }


def found_stamp(root: str) -> dict:
    """Return what the environment in `root` says about itself, nothing if it is unfinished."""
    try:
        with open(os.path.join(root, ".venv", "stamp.json")) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    works = os.path.exists(python_of(root))  # follows the link to the Python it was made with
    return stamp if isinstance(stamp, dict) and works else {}


def python_of(root: str) -> str:
    """Return the path of the environment's interpreter."""
    return os.path.join(root, ".venv", "bin", "python")


def set_up(root: str, pins: bool = True) -> bool:
    """Make the environment in `root` fit, if it does not; return whether there was work."""
    wanted, found = wanted_stamp(root), found_stamp(root)
    if found == wanted:
        return False
    folder = os.path.join(root, ".venv")
    stamp = os.path.join(folder, "stamp.json")
    keep = all(found.get(name) == wanted[name] for name in ("folder", "python"))
    if keep:
        os.remove(stamp)  # unfinished from here on
    else:
        shutil.rmtree(folder, ignore_errors=True)
        run([sys.executable, "-m", "venv", folder], root)
    constraints = ["-c", "constraints.txt"] if pins else []
    install = ["install", "--no-input", "--disable-pip-version-check"]
    run(
        [python_of(root), "-m", "pip", *install, *constraints, "-e", f".[{EXTRAS}]"],
        root,
        log=os.path.join(folder, "install.log"),
    )
    with open(stamp + ".tmp", "w") as file:
        json.dump(wanted, file, indent=1)
    os.replace(stamp + ".tmp", stamp)
    return True


def run(command: list, root: str, log: str = "") -> None:
    """Run a command in `root`; raise SetupError with the end of what it said if it fails."""
    environment = dict(os.environ, PIP_USER="0")
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTHONHOME", None)
    if log:
        print("installing into .venv, once: 1 to 10 minutes by your network", file=sys.stderr)
        print(f"(progress in {os.path.relpath(log, root)})", file=sys.stderr, flush=True)
    with open(log or os.devnull, "w+b") as output:
        code = subprocess.call(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        if code:
            output.seek(0)
            lines = output.read().decode("utf-8", "replace").splitlines() if log else []
            said = "".join("\n  " + line for line in lines[-15:])
            raise SetupError("{} failed{}".format(" ".join(command[:4]), said))


def set_up_alone(root: str, pins: bool = True) -> bool:
    """Do `set_up` while no other process does; a lock of a process that died is free."""
    import fcntl

    os.makedirs(os.path.join(root, ".locks"), exist_ok=True)
    with open(os.path.join(root, ".locks", "setup.lock"), "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("another set-up is running here, waiting", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        return set_up(root, pins)


def main() -> int:
    """Run the set-up; return 0, or 1 after one line on what is missing."""
    try:
        check_machine()
        set_up_alone(ROOT, pins="--without-pins" not in sys.argv[1:])
    except SetupError as error:
        print(f"set-up: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
