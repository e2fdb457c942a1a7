"""The command line: run notebooks and studies, look at the cache.

Whatever is wrong with a name, a parameter or a value is said in one sentence on stderr, before any
work, with exit code 2. Heavy libraries are imported only by the commands that compute.
"""

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import fields
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from seethrough import __version__, studies
from seethrough.checkout import checkout_root
from seethrough.parameters import (
    TIERS,
    ParameterError,
    assignments,
    build,
    load,
    load_profile,
    plain,
)
from seethrough.store import ArtifactStore
from seethrough.unknown_name import unknown

app = typer.Typer(
    help="Run the project's notebooks and studies.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
cache = typer.Typer(help="Look at stored artifacts, or remove them.")
app.add_typer(cache, name="cache")

# The class of wrong command lines, wherever this version of typer keeps it.
UsageError: type[Exception] = next(
    cls for cls in typer.BadParameter.__mro__ if cls.__name__ == "ClickException"
)

Assignment = Annotated[
    list[str] | None,
    typer.Option("-p", "--parameter", metavar="NAME=VALUE", help="Set a parameter; repeatable."),
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="Start from this scale: smoke, quick, reference or paper. By default the study's own."
    ),
]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    command: Any = get_command(app)
    try:
        code = command.main(args=arguments, prog_name="seethrough", standalone_mode=False)
    except UsageError as error:
        _refuse(usage_sentence(error))
    except (ParameterError, StoreError) as error:
        _refuse(str(error))
    except typer.Abort:
        sys.exit("seethrough: nothing was done, as the answer was not yes")
    sys.exit(code)


class StoreError(ValueError):
    """The cache folder cannot be used; the message is one sentence."""


def _refuse(sentence: str) -> None:
    print(f"seethrough: {' '.join(sentence.split())}", file=sys.stderr)
    sys.exit(2)


def usage_sentence(error: Any) -> str:
    """Return what is wrong with a command line, and what is allowed there, in one sentence."""
    problem = error.format_message().partition(" Did you mean")[0].rstrip(".")
    context = getattr(error, "ctx", None)
    if context is None:
        return f"{problem}."
    command = context.command
    names = getattr(command, "commands", None) or [
        entry.opts[-1] if entry.opts[-1].startswith("-") else entry.opts[-1].upper()
        for entry in command.get_params(context)
    ]
    return f"{problem}; allowed after {context.command_path!r} are {', '.join(names)}"


@app.command()
def run(
    notebook: Annotated[str, typer.Argument(help="Name in notebooks/, or path of an .ipynb file.")],
    parameter: Assignment = None,
    profile: Profile = None,
    out: Annotated[
        Path | None, typer.Option(help="Executed notebook; results/runs/NAME.ipynb by default.")
    ] = None,
) -> None:
    """Execute a notebook with other parameters; writes it and its results as JSON."""
    source = notebook_path(notebook)
    parameters = chosen_parameters(source.stem, profile, parameter or [])
    target = output_path(out or _runs_folder() / f"{source.stem}.ipynb", ".ipynb")
    open_store()  # the kernel will: refused here, before any work
    for package in ("papermill", "nbformat", "ipykernel"):
        if find_spec(package) is None:
            raise ParameterError(
                f"run needs {package}, which is not installed: pip install 'seethrough[book]', or "
                f"use seethrough study {source.stem}, which needs no notebook machinery"
            )
    from seethrough.book.execute import execute, failures

    result = target.with_suffix(".json")
    try:
        timing = execute(source, plain(parameters), target, result)
    except failures() as error:
        print(f"{source.stem} failed, nothing is written\n{str(error).strip()}", file=sys.stderr)
        raise typer.Exit(1) from error
    print(f"{timing.seconds:.1f} s\n{target}\n{result}")


@app.command("list")
def list_() -> None:
    """List studies and notebooks, one per line with its title."""
    notebooks = {path.stem: path for path in _notebooks()}
    width = max(map(len, [*studies.STUDIES, *notebooks]))
    for name, spec in studies.STUDIES.items():
        print(f"study     {name:{width}}  {spec.title}")
    for name, path in notebooks.items():
        print(f"notebook  {name:{width}}  {notebook_title(path)}")


@app.command()
def study(
    name: Annotated[str, typer.Argument(help="Name of a study, see seethrough list.")],
    parameter: Assignment = None,
    profile: Profile = None,
    out: Annotated[
        Path | None, typer.Option(help="Result file; results/runs/NAME.json by default.")
    ] = None,
) -> None:
    """Compute a study without any notebook and write its results as JSON."""
    parameters = chosen_parameters(name, profile, parameter or [])
    target = output_path(out or _runs_folder() / f"{name}.json", ".json")
    store = open_store()
    studies.get(name).load().run(parameters, store).write(target)
    print(target)


@app.command()
def reference(
    beginning: Annotated[
        str, typer.Argument(help="Studies whose name begins so; all by default.")
    ] = "",
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--parameter",
            metavar="NAME=VALUE",
            help="Set a parameter of every study here that has it; repeatable.",
        ),
    ] = None,
    profile: Annotated[str, typer.Option(help="Scale of the results.")] = "reference",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder; by default results/reference of the checkout, for natural its subfolder."
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace a file even if something in it is lost.")
    ] = False,
) -> None:
    """Compute the committed results, study by study; what is stored already is used again.

    A file that holds rows or curves which the new result lacks is kept, and said to be: they may
    come from parameters that are not given now. With --replace it is replaced.
    """
    there = [name for name in studies.STUDIES if name in load_profile(profile)]
    names = [name for name in there if name.startswith(beginning)]
    if not names:
        raise ParameterError(
            f"no study begins with {beginning!r}, there are {', '.join(there)} in {profile!r}"
        )
    texts = texts_by_study(names, parameter or [])
    chosen = {name: chosen_parameters(name, profile, own) for name, own in texts.items()}
    from seethrough.studies.reference import folder_of, loss  # heavy: torch comes with it

    store, folder = open_store(), out or folder_of(profile if profile in TIERS else "")
    for number, (name, parameters) in enumerate(chosen.items(), 1):
        print(f"{number} of {len(names)}: {name}", file=sys.stderr)
        target = folder / f"{name}.json"
        result = studies.get(name).load().run(parameters, store)
        lost = "" if replace else loss(target, result)
        if lost:
            print(f"{target} is kept: {lost}; --replace replaces it", file=sys.stderr)
            continue
        result.write(target)
        print(target)


@cache.command()
def info() -> None:
    """Show where artifacts are stored, how many, and their size."""
    store = open_store()
    entries = store.entries()
    print(f"{store.root}: {_count(len(entries))}, {_size(sum(e.bytes for e in entries))}")
    for kind in sorted({entry.kind for entry in entries}):
        own = [entry for entry in entries if entry.kind == kind]
        unfinished = sum(not entry.finished for entry in own)
        note = f", {unfinished} of them unfinished" if unfinished else ""
        print(f"  {kind}: {_count(len(own))}, {_size(sum(e.bytes for e in own))}{note}")


@cache.command()
def clear(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove all stored artifacts; they are made again when needed."""
    store = open_store()
    entries = store.entries()
    what = f"{_count(len(entries))}, {_size(sum(entry.bytes for entry in entries))}"
    if entries and not yes:
        if not sys.stdin.isatty():
            raise ParameterError("cache clear asks before it removes anything: here, say --yes")
        typer.confirm(f"Remove {what} from {store.root}?", abort=True)
    left = store.clear()
    print(f"removed {what}" if not left else f"left {_count(len(left))} that are being made")


@app.command()
def version() -> None:
    """Print the version."""
    print(f"seethrough {__version__}")


def notebook_path(name: str) -> Path:
    """Return the file of a notebook given by name or path; raise ParameterError without one."""
    if name.endswith(".ipynb") or "/" in name:
        path = Path(name)
        if not path.is_file() or path.suffix != ".ipynb":
            raise ParameterError(f"notebook {name!r} is no file, allowed is the path of an .ipynb")
        return path
    notebooks = {path.stem: path for path in _notebooks()}
    if name not in notebooks:
        raise ParameterError(f"notebook {unknown(name, notebooks)}")
    return notebooks[name]


def chosen_parameters(study: str, profile: str | None, texts: Sequence[str]) -> Any:
    """Return a study's parameters: its defaults, over them the profile's, over them `texts`."""
    cls = studies.get(study).load().Parameters
    values = load(profile, study) if profile else {}
    return build(cls, values | assignments(cls, texts))


def texts_by_study(names: Sequence[str], texts: Sequence[str]) -> dict[str, list[str]]:
    """Return study -> those of the texts NAME=VALUE whose parameter it has.

    A text without a name or a value goes to every study: `assignments` says what is wrong with it.
    Raises ParameterError for a name that none of the studies has.
    """
    owned = {
        name: {field.name for field in fields(studies.get(name).load().Parameters)}
        for name in names
    }
    known = set().union(*owned.values())
    parts = [(text, *text.partition("=")[:2]) for text in texts]
    for _, parameter, equals in parts:
        if parameter and equals and parameter not in known:
            raise ParameterError(f"parameter {unknown(parameter, known)}")
    return {
        name: [text for text, parameter, _ in parts if parameter in own or parameter not in known]
        for name, own in owned.items()
    }


def output_path(path: Path, suffix: str) -> Path:
    """Return `path` if a file of this kind can be written there, else raise ParameterError."""
    if path.suffix != suffix or path.is_dir():
        raise ParameterError(f"--out is {str(path)!r}, allowed is a file name ending in {suffix}")
    if not path.absolute().parent.is_dir():
        raise ParameterError(
            f"--out is {str(path)!r}, but its folder does not exist: make it first"
        )
    return path


def open_store() -> ArtifactStore:
    """Return the artifact store; raise StoreError if its folder cannot be used."""
    try:
        store = ArtifactStore()
    except ValueError as error:
        raise StoreError(str(error)) from error
    above = next(folder for folder in (store.root, *store.root.parents) if folder.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(
            f"the cache folder is {str(store.root)!r}, which cannot be written: allowed is another "
            "one, named by SEETHROUGH_CACHE"
        )
    return store


def notebook_title(path: Path) -> str:
    """Return the first heading of a notebook, without its marks; empty if it has none."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ").strip()
    return ""


def _notebooks() -> list[Path]:
    root = checkout_root()
    return sorted(root.glob("notebooks/*.ipynb")) if root else []


def _runs_folder() -> Path:
    root = checkout_root()
    folder = root / "results" / "runs" if root else Path()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _count(n: int) -> str:
    return "1 artifact" if n == 1 else f"{n} artifacts"


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:.1f} MB"
