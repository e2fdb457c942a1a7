"""Make or renew .venv-peers, an environment with the libraries that benchmarks compare with.

    python benchmarks/peers/environment.py

It sees everything in .venv, the same torch above all, and adds the exact versions of
requirements.txt and the stand-ins for what they import but do not use here. Done before, it ends at
once; stopped half-way, it goes on. The project itself never uses it.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


class PeersError(Exception):
    """Something is missing; the message is one line that names it."""


def python_of(root: Path) -> Path:
    return root / ".venv-peers" / "bin" / "python"


def wanted_stamp(root: Path) -> dict[str, str]:
    """Return what a finished environment in `root` says about itself."""
    if not (root / ".venv" / "bin" / "python").exists():
        raise PeersError("there is no .venv; run make setup first")
    inputs = (root / "benchmarks" / "peers" / "requirements.txt", root / "constraints.txt")
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs))
    return {"folder": str(root), "python": sys.version, "inputs": digest.hexdigest()}


def found_stamp(root: Path) -> dict[str, str]:
    """Return what the environment in `root` says about itself, nothing if it is unfinished."""
    try:
        stamp = json.loads((root / ".venv-peers" / "stamp.json").read_text())
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) and python_of(root).exists() else {}


def set_up(root: Path) -> bool:
    """Make the environment in `root` fit, if it does not; return whether there was work."""
    wanted, found = wanted_stamp(root), found_stamp(root)
    if found == wanted:
        return False
    folder = root / ".venv-peers"
    if found and any(found.get(name) != wanted[name] for name in ("folder", "python")):
        shutil.rmtree(folder)
    (folder / "stamp.json").unlink(missing_ok=True)  # unfinished from here on
    if not python_of(root).exists():
        venv.create(folder, with_pip=False, symlinks=True)
    link(root)
    install(root)
    temporary = folder / "stamp.tmp"
    temporary.write_text(json.dumps(wanted, indent=1))
    temporary.replace(folder / "stamp.json")
    return True


def packages_of(environment: Path) -> Path:
    """Return the folder of an environment's packages, that of this Python."""
    return Path(
        environment, "lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages"
    )


def link(root: Path) -> None:
    """Let the environment see the packages of .venv, and the stand-ins after them."""
    stand_ins = root / "benchmarks" / "peers" / "stand_ins"
    lines = [
        f"import site; site.addsitedir({str(packages_of(root / '.venv'))!r})",
        str(stand_ins),
    ]
    target = packages_of(root / ".venv-peers") / "product.pth"
    target.write_text("\n".join(lines) + "\n")


def install(root: Path) -> None:
    """Install the requirements by the pip of .venv; raise PeersError with the end of its words."""
    log = root / ".venv-peers" / "install.log"
    print("installing into .venv-peers, once: 600 MB, 1 to 10 minutes", file=sys.stderr, flush=True)
    command = [str(python_of(root)), "-m", "pip", "install", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "-r", "benchmarks/peers/requirements.txt"]
    environment = dict(os.environ, PIP_USER="0")
    environment.pop("PYTHONPATH", None)
    with log.open("wb") as output:
        code = subprocess.call(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
    if code:
        said = "".join("\n  " + line for line in log.read_text().splitlines()[-8:])
        raise PeersError(
            "the libraries to compare with could not be installed; is there a network? Benchmarks "
            f"that need none run alone, as in python benchmarks/pruning/wanda.py. pip said:{said}"
        )


def main() -> int:
    """Run the set-up; return 0, or 1 after a message on what is missing."""
    try:
        set_up(ROOT)
    except PeersError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
