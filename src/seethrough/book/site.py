"""Build the site from executed notebooks and pages: strictly, checked, and swapped in at once.

    python -m seethrough.book.site _build/html

Every build starts from nothing, because an incremental one repeats no warnings and keeps removed
pages. The old site stays until the new one has passed the gates.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

COMPLETE = ".complete"
"""A file of this name in the site says that the build reached its end."""
WORK = ".site-"
"""Begin of the names of folders in which sites are built."""
JUPYTER_BOOK = (sys.executable, "-c", "from jupyter_book.cli.main import main; main()")
GATES = (sys.executable, "-m", "seethrough.book.gates")

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
N_LINES = 40


def build_site(html: Path) -> int:
    """Build the book of the current folder into `html`; return 0 if all is well."""
    html.parent.mkdir(parents=True, exist_ok=True)
    for left in html.parent.glob(f"{WORK}*"):  # by a build that was killed
        shutil.rmtree(left)
    work = Path(tempfile.mkdtemp(prefix=WORK, dir=html.parent))
    try:
        return render(work, html.parent / "site.log") or gates(built(work)) or swap(work, html)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def built(work: Path) -> Path:
    """Return the folder below `work` into which jupyter-book writes pages."""
    return work / "_build" / "html"


def render(work: Path, log: Path) -> int:
    """Run jupyter-book with warnings as errors; show its messages only when it fails."""
    print("site: building every page", file=sys.stderr)
    strict = ("-W", "-n", "--keep-going")
    command = [*JUPYTER_BOOK, "build", ".", "--path-output", str(work), *strict]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = ESCAPES.sub("", done.stdout)
    log.write_text(said, "utf-8")
    if done.returncode:
        problems = "\n".join(problem_lines(said))
        print(f"{problems}\nsite: the build failed, see all in {log}", file=sys.stderr)
    return done.returncode


def problem_lines(said: str) -> list[str]:
    """Return the lines with warnings and errors, at most 40; without any, the last 40 lines."""
    lines = said.splitlines()
    problems = [line for line in lines if re.search("WARNING|ERROR|CRITICAL|Exception", line)]
    if len(problems) > N_LINES:
        return [*problems[:N_LINES], f"... and {len(problems) - N_LINES} more"]
    return problems or lines[-N_LINES:]


def gates(html: Path) -> int:
    """Run the gates over the new site."""
    return subprocess.run([*GATES, str(html)], stdout=sys.stderr).returncode


def swap(work: Path, html: Path) -> int:
    """Put the new site in the place of the old one by two renames."""
    (built(work) / COMPLETE).write_text("")
    if html.exists():
        html.rename(work / "old")
    built(work).rename(html)
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m seethrough.book.site", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("html", type=Path, help="folder for the pages; replaced when all is well")
    return build_site(parser.parse_args(arguments).html)


if __name__ == "__main__":
    sys.exit(main())
