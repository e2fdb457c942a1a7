"""Build the whole book: run the notebooks that need it, then the site.

    python -m seethrough.book.build --profile quick

One build at a time: a second one waits and then finds everything done. A build that was killed
leaves nothing that the next one takes for finished.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from seethrough.book import forked_kernels
from seethrough.book.runs import check_profile, notebook_runs
from seethrough.book.timings import read_timing
from seethrough.file_lock import held
from seethrough.parameters import ParameterError

LOCK = Path(".locks", "book.lock")
EXECUTED = Path("book", "executed")
HTML = Path("_build", "html")


def build_book(profile: str, cores: int) -> int:
    """Build the book of the current folder; return 0 if all is well."""
    with held(LOCK, "another build is running here, waiting"):
        code = run_snakemake(profile, cores)
    if code == 0:
        print(timing_table(list(notebook_runs(profile))))
        print(f"\nOpen {(HTML / 'index.html').absolute()}")
    return code


def run_snakemake(profile: str, cores: int) -> int:
    """Run the rules of the Snakefile in this process, so that its lock lives as long as they."""
    from snakemake.cli import main as snakemake  # type: ignore[import-untyped]

    arguments = (
        f"--cores {cores} --resources gpu=1 --config profile={profile} --nolock "
        "--rerun-incomplete --scheduler greedy --quiet all"
    ).split()
    try:
        snakemake(arguments)
    except SystemExit as exit:
        return exit.code if isinstance(exit.code, int) else int(exit.code is not None)
    return 0


def timing_table(notebooks: Sequence[str]) -> str:
    """Return a table notebook -> seconds of the last execution, with its scale."""
    width = max(map(len, ["notebook", *notebooks]))
    lines = [f"{'notebook':{width}}  seconds  scale"]
    for name in notebooks:
        timing = read_timing(EXECUTED / f"{name}.ipynb")
        lines.append(
            f"{name:{width}}  {timing.seconds:7.1f}  {timing.profile}"
            if timing
            else f"{name:{width}}  unknown"
        )
    return "\n".join(lines)


def available_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 2 with one sentence for a wrong profile, else 1."""
    parser = argparse.ArgumentParser(
        prog="python -m seethrough.book.build", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--profile", default="quick", help="smoke, quick, reference or paper")
    parser.add_argument("--cores", type=int, default=available_cores(), help="all by default")
    options = parser.parse_args(arguments)
    try:
        if not Path("Snakefile").is_file():
            raise ParameterError("there is no Snakefile here: run this in the project's folder")
        runs = notebook_runs(options.profile).values()
        check_profile(options.profile)
    except ParameterError as error:
        print(error, file=sys.stderr)
        return 2
    if not any(run.gpus for run in runs):
        forked_kernels.start(Path("notebooks", f"{run.notebook}.ipynb") for run in runs)
    return build_book(options.profile, options.cores)


if __name__ == "__main__":
    sys.exit(main())
