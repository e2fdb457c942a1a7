"""The command line: what it does, and the one sentence for whatever is wrong."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from nbclient.exceptions import DeadKernelError

from seethrough import __version__, cli, studies
from seethrough.book.timings import Timing
from seethrough.cli import main
from seethrough.parameters import plain
from seethrough.provenance import collect
from seethrough.results import Row, Series, StudyResult
from seethrough.store import ArtifactStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    width: int = 1
    name: str = "a"

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width is {self.width}, allowed is at least 1")


def build(parameters: Parameters, workspace: Path) -> None:
    (workspace / "width.json").write_text(str(parameters.width))


@dataclass
class Toy:
    """A study that is known to the command line, in a checkout of its own."""

    root: Path
    runs: list[Parameters]

    @property
    def notebook(self) -> Path:
        return self.root / "notebooks" / "toy.ipynb"


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    made = Toy(root=tmp_path, runs=[])

    def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
        made.runs.append(parameters)
        assert store is not None
        store.get(parameters, build)
        row = Row("width", "width", {}, "units", (float(parameters.width),))
        return StudyResult("toy", (row,), (), collect("toy", parameters, seconds=0.0))

    module: Any = ModuleType("toy_study")
    module.Parameters, module.run = Parameters, run
    monkeypatch.setitem(sys.modules, "toy_study", module)
    for name in list(studies.STUDIES):
        monkeypatch.delitem(studies.STUDIES, name)
    spec = studies.StudySpec(name="toy", title="A toy study", module="toy_study")
    monkeypatch.setitem(studies.STUDIES, "toy", spec)
    monkeypatch.setattr(cli, "checkout_root", lambda: tmp_path)
    monkeypatch.setattr("seethrough.parameters.checkout_root", lambda: tmp_path)
    monkeypatch.setenv("SEETHROUGH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "quick.yml").write_text("toy: {width: 5}\n")
    made.notebook.parent.mkdir()
    cell = {"cell_type": "markdown", "source": ["Some words\n", "# A toy notebook\n", "# x"]}
    made.notebook.write_text(json.dumps({"cells": [cell]}))
    return made


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(caught.value.code or 0)


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("version") == 0
    assert capsys.readouterr().out == f"seethrough {__version__}\n"


def test_list(toy: Toy, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("list") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["study     toy  A toy study", "notebook  toy  A toy notebook"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), Parameters()),
        (("--profile", "quick"), Parameters(width=5)),
        (
            ("--profile", "quick", "-p", "width=7", "-p", "name=b c"),
            Parameters(width=7, name="b c"),
        ),
    ],
)
def test_study(
    toy: Toy, arguments: tuple[str, ...], expected: Parameters, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("study", "toy", "--out", "result.json", *arguments) == 0
    assert toy.runs == [expected]
    result = StudyResult.read(Path("result.json"))
    assert result.row("width").mean == expected.width
    assert capsys.readouterr().out == "result.json\n"


def test_study_writes_to_the_runs_by_default(toy: Toy) -> None:
    assert call("study", "toy") == 0
    assert StudyResult.read(toy.root / "results" / "runs" / "toy.json").study == "toy"


@pytest.mark.parametrize("name", ["toy", "notebooks/toy.ipynb"])
def test_run_hands_notebook_and_parameters_on(
    toy: Toy, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    called: list[tuple[Any, ...]] = []

    def execute(*arguments: Any) -> Timing:
        called.append(arguments)
        return Timing(notebook="toy", seconds=1.25, profile="custom")

    monkeypatch.setattr("seethrough.book.execute.execute", execute)
    assert call("run", name, "--profile", "quick", "-p", "name=b") == 0
    ((source, parameters, out, result),) = called
    assert source.resolve() == toy.notebook
    assert parameters == plain(Parameters(width=5, name="b"))
    assert (out, result) == (
        toy.root / "results/runs/toy.ipynb",
        toy.root / "results/runs/toy.json",
    )
    assert capsys.readouterr().out == f"1.2 s\n{out}\n{result}\n"


def test_a_failed_notebook_ends_with_one_and_without_our_frames(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def execute(*arguments: Any) -> Timing:
        raise DeadKernelError("Kernel died")

    monkeypatch.setattr("seethrough.book.execute.execute", execute)
    assert call("run", "toy") == 1
    assert capsys.readouterr().err == "toy failed, nothing is written\nKernel died\n"


def test_cache(
    toy: Toy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    call("study", "toy", "--out", "result.json")
    ArtifactStore().root.joinpath("Parameters", f"{'0' * 64}.partial").mkdir()
    capsys.readouterr()
    assert call("cache", "info") == 0
    assert capsys.readouterr().out == (
        f"{toy.root / 'cache'}: 2 artifacts, 0.0 MB\n"
        "  Parameters: 2 artifacts, 0.0 MB, 1 of them unfinished\n"
    )
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: False))
    assert call("cache", "clear") == 2
    assert capsys.readouterr().err == (
        "seethrough: cache clear asks before it removes anything: here, say --yes\n"
    )
    assert len(ArtifactStore().entries()) == 2
    assert call("cache", "clear", "--yes") == 0
    assert capsys.readouterr().out == "removed 2 artifacts, 0.0 MB\n"
    assert ArtifactStore().entries() == []


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 1), ("", 1, 1)])
def test_cache_clear_asks(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, left: int
) -> None:
    call("study", "toy", "--out", "result.json")

    def ask(prompt: str = "") -> str:
        if not answer:
            raise EOFError
        return answer.strip()

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    monkeypatch.setattr("builtins.input", ask)
    for module in ("typer._click.termui", "click.termui"):
        if module in sys.modules:
            monkeypatch.setattr(f"{module}.visible_prompt_func", ask)
    if code:
        with pytest.raises(SystemExit, match="nothing was done, as the answer was not yes"):
            main(["cache", "clear"])
    else:
        assert call("cache", "clear") == 0
    assert len(ArtifactStore().entries()) == left


WRONG = [
    (
        (),
        "Missing command; allowed after 'seethrough' are run, list, study, reference, version, "
        "cache",
    ),
    (
        ("lst",),
        "No such command 'lst'; allowed after 'seethrough' are run, list, study, reference, "
        "version",
    ),
    (("cache", "inf"), "No such command 'inf'; allowed after 'seethrough cache' are info, clear"),
    (("version", "--x"), "No such option: --x; allowed after 'seethrough version' are --help"),
    (("list", "x"), "Got unexpected extra argument"),
    (("run",), "Missing argument 'notebook'; allowed after 'seethrough run' are NOTEBOOK, --param"),
    (("run", "toi"), "notebook 'toi' is unknown (did you mean toy?), allowed are toy"),
    (
        ("run", "no/toy.ipynb"),
        "notebook 'no/toy.ipynb' is no file, allowed is the path of an .ipynb",
    ),
    (("run", "params/quick.yml"), "notebook 'params/quick.yml' is no file, allowed is the path"),
    (("run", "other.ipynb"), "study 'other' is unknown, allowed are toy"),
    (
        ("run", "toy", "-p", "widht=3"),
        "parameter 'widht' is unknown (did you mean width?), allowed",
    ),
    (("run", "toy", "--out", "x.txt"), "--out is 'x.txt', allowed is a file name ending in .ipynb"),
    (("study",), "Missing argument 'name'; allowed after 'seethrough study' are NAME, --parameter"),
    (("study", "toy", "--out"), "Option '--out' requires an argument"),
    (
        ("study", "toi", "--out", "x.json"),
        "study 'toi' is unknown (did you mean toy?), allowed are",
    ),
    (("study", "toy", "--out", "x"), "--out is 'x', allowed is a file name ending in .json"),
    (("study", "toy", "--out", "no/x.json"), "--out is 'no/x.json', but its folder does not exist"),
    (("study", "toy", "--out", "x.json", "-p", "width"), "parameter 'width' has no value, allowed"),
    (
        ("study", "toy", "--out", "x.json", "-p", "width=a"),
        "parameter width is 'a', allowed is a w",
    ),
    (("study", "toy", "--out", "x.json", "-p", "width=0"), "width is 0, allowed is at least 1"),
    (
        ("study", "toy", "--out", "x.json", "--profile", "q"),
        "profile is 'q', allowed are smoke, qu",
    ),
    (
        ("study", "toy", "--out", "x.json", "--profile", "paper"),
        "profile 'paper' has no file params",
    ),
]


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=lambda value: " ".join(value))
def test_whatever_is_wrong_is_one_sentence(
    toy: Toy, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (toy.root / "other.ipynb").write_text("{}")
    assert call(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"seethrough: {sentence}")
    assert shown.err.count("\n") == 1
    assert toy.runs == []
    assert not (toy.root / "cache").exists()


def test_a_wrong_cache_folder_is_named(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEETHROUGH_CACHE", str(toy.notebook))
    assert call("cache", "info") == 2
    assert capsys.readouterr().err.endswith("toy.ipynb', allowed is a folder\n")


def test_run_says_what_is_not_installed(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    assert call("run", "toy") == 2
    assert capsys.readouterr().err == (
        "seethrough: run needs papermill, which is not installed: pip install 'seethrough[book]', "
        "or use seethrough study toy, which needs no notebook machinery\n"
    )


def test_help_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--help") == 0
    shown = capsys.readouterr()
    assert "study" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize("arguments", [("version",), ("list",), ("cache", "info")])
def test_light_commands_load_nothing_heavy(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys, os; from seethrough.cli import main\n"
        f"try: main({list(arguments)})\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'papermill', 'nbformat', 'matplotlib'} & sys.modules.keys()\n"
        "print('heavy', heavy)"
    )
    out = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert out.splitlines()[-1] == "heavy set()"


def test_module_and_command_are_the_same() -> None:
    out = subprocess.check_output([sys.executable, "-m", "seethrough", "version"], text=True)
    assert out == f"seethrough {__version__}\n"


def test_reference_writes_every_study_that_begins_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEETHROUGH_CACHE", str(tmp_path / "store"))
    folder = tmp_path / "out"
    arguments = ["reference", "collapse_data", "--profile", "smoke", "--out", str(folder)]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert not ended.value.code
    assert [file.name for file in folder.iterdir()] == ["collapse_data_sets.json"]
    assert StudyResult.read(folder / "collapse_data_sets.json").provenance.profile == "smoke"


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherParameters:
    name: str = "a"
    frames: str = ""


@pytest.fixture
def two_toys(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> list[OtherParameters]:
    """A second study beside the toy, with one parameter in common; with frames it has errors."""
    runs: list[OtherParameters] = []

    def run(parameters: OtherParameters, store: ArtifactStore | None = None) -> StudyResult:
        runs.append(parameters)
        names = ["size", *(["error_mean", "error_max"] if parameters.frames else [])]
        rows = tuple(Row(name, name, {}, "units", (1.0,)) for name in names)
        curve = Series("errors", "errors", {}, "units", "epoch", (1.0,), ((1.0,),))
        series = (curve,) if parameters.frames == "curved" else ()
        return StudyResult("toys", rows, series, collect("toys", parameters, seconds=0.0))

    module: Any = ModuleType("other_study")
    module.Parameters, module.run = OtherParameters, run
    monkeypatch.setitem(sys.modules, "other_study", module)
    spec = studies.StudySpec(name="toys", title="Another", module="other_study")
    monkeypatch.setitem(studies.STUDIES, "toys", spec)
    (toy.root / "params" / "quick.yml").write_text("toy: {width: 5}\ntoys: {name: b}\n")
    return runs


def reference(*arguments: str) -> int:
    return call("reference", "--profile", "quick", "--out", "out", *arguments)


def test_reference_gives_a_parameter_to_the_studies_that_have_it(
    toy: Toy, two_toys: list[OtherParameters]
) -> None:
    assert reference("-p", "name=c d", "-p", "width=7", "-p", "frames=a: b: c") == 0
    assert toy.runs == [Parameters(width=7, name="c d")]
    assert two_toys == [OtherParameters(name="c d", frames="a: b: c")]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("-p", "frame=x"), "parameter 'frame' is unknown (did you mean frames?), allowed are "
         "frames, name, width"),
        # What only a study has that was not chosen is as unknown as any other name.
        (("toys", "-p", "width=3"), "parameter 'width' is unknown, allowed are frames, name"),
        (("-p", "width"), "parameter 'width' has no value, allowed is NAME=VALUE"),
        (("-p", "frame"), "parameter 'frame' has no value, allowed is NAME=VALUE"),
        (("-p", "=3"), "parameter '=3' has no value, allowed is NAME=VALUE"),
        (("-p", "width=0"), "width is 0, allowed is at least 1"),
        (("-p", "name=a", "-p", "name=b"), "parameter 'name' is given twice, allowed is once"),
    ],
)  # fmt: skip
def test_reference_refuses_wrong_parameters_before_any_work(
    toy: Toy,
    two_toys: list[OtherParameters],
    arguments: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reference(*arguments) == 2
    assert capsys.readouterr().err == f"seethrough: {sentence}\n"
    assert not toy.runs
    assert not two_toys
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("frames", "lost"),
    [("given", "2 of its rows"), ("curved", "2 of its rows and 1 of its curves")],
)
def test_reference_keeps_a_file_with_more_in_it(
    toy: Toy,
    two_toys: list[OtherParameters],
    frames: str,
    lost: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toy_file, file = Path("out/toy.json"), Path("out/toys.json")
    assert reference("-p", f"frames={frames}") == 0
    before = file.read_bytes()
    capsys.readouterr()
    assert reference("-p", "width=6") == 0
    shown = capsys.readouterr()
    assert shown.out == f"{toy_file}\n"
    assert shown.err.splitlines() == [
        "1 of 2: toy",
        "2 of 2: toys",
        f"{file} is kept: the new result lacks {lost}; --replace replaces it",
    ]
    assert file.read_bytes() == before
    assert StudyResult.read(toy_file).row("width").mean == 6
    assert reference("toys", "--replace") == 0
    assert capsys.readouterr().out == f"{file}\n"
    assert [row.id for row in StudyResult.read(file).rows] == ["size"]


def test_reference_replaces_a_file_of_the_same_or_fewer_rows(
    toy: Toy, two_toys: list[OtherParameters], capsys: pytest.CaptureFixture[str]
) -> None:
    for frames in ("", "", "given", "curved"):
        assert reference("toys", "-p", f"frames={frames}") == 0
        assert "is kept" not in capsys.readouterr().err
        parameters = StudyResult.read(Path("out/toys.json")).provenance.parameters
        assert parameters["frames"] == frames


def test_reference_keeps_a_file_that_it_cannot_read(
    toy: Toy, capsys: pytest.CaptureFixture[str]
) -> None:
    file = Path("out/toy.json")
    file.parent.mkdir()
    file.write_text("{}")
    assert reference() == 0
    assert f"{file} is kept: it is no result that can be read (" in capsys.readouterr().err
    assert file.read_text() == "{}"
    assert reference("--replace") == 0
    assert StudyResult.read(file).row("width").mean == 5


def test_reference_refuses_a_beginning_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["reference", "colapse"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("seethrough: no study begins with 'colapse', there ")
