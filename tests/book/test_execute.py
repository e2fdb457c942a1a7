"""Executing a notebook: what is written, what is not, and what happens to a killed run."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest

from seethrough.book.execute import _same, address
from seethrough.results import StudyResult

EXECUTE = "seethrough.book.execute"
FILES = ("--out", "book/executed/toy.ipynb", "--result", "book/executed/results/toy.json")
QUICK = ("--profile", "quick")


def outputs(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return [o.text for cell in cells if cell.cell_type == "code" for o in cell.outputs]


def kernels_below(root: Path) -> list[str]:
    """Return the kernels that work for the project, from the environments of all processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            environment = (process / "environ").read_bytes()
        except OSError:
            continue
        if b"ipykernel" in command and str(root).encode() in environment:
            found.append(process.name)
    return found


def test_notebook_results_and_timing_are_written(tiny_project: Any, tmp_path: Path) -> None:
    # A kernel of the user's that has the same name and does not work.
    spec = tmp_path / "data" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text('{"argv": ["false"], "display_name": "x", "language": "python"}')
    # A temporary folder whose path is too long for sockets.
    (tmp_path / ("long" * 20)).mkdir()
    odd = {"JUPYTER_DATA_DIR": str(tmp_path / "data"), "TMPDIR": str(tmp_path / ("long" * 20))}
    done = tiny_project.run(EXECUTE, "toy", *QUICK, *FILES, **odd)
    assert done.returncode == 0, done.stderr
    assert outputs(tiny_project.out) == ["mean 4.0\n"]
    result = StudyResult.read(tiny_project.result)
    assert result.row("width").per_seed == (5.0, 3.0)
    assert result.provenance.profile == "quick"
    timing = json.loads((tiny_project.out.parent / "timings" / "toy.json").read_text())
    assert set(timing) == {"notebook", "seconds", "profile"}
    assert timing["profile"] == "quick"
    assert "running at the scale 'quick' (for the first time)" in done.stderr
    assert "a message" in done.stderr
    text = tiny_project.out.read_text()
    assert str(tmp_path) not in text
    assert "papermill" not in text
    assert sorted(path.name for path in tiny_project.out.parent.iterdir()) == [
        "results",
        "timings",
        "toy.ipynb",
    ]

    again = tiny_project.run(EXECUTE, "toy", *QUICK, *FILES)
    assert again.returncode == 0, again.stderr
    assert f"({timing['seconds']:.0f} s the last time)" in again.stderr
    assert tiny_project.out.read_text() == text  # every byte: nothing in it depends on the time


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("raise RuntimeError('this cell fails')", "this cell fails"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "DeadKernelError"),
        ("result = run(Parameters(width=6))", "result comes from width = 6, given was 5"),
        ("from dataclasses import replace\nresult = replace(result, study='x')", "of study 'x'"),
        ("del result", "name 'result' is not defined"),
    ],
    ids=["cell fails", "kernel dies", "other parameters", "other study", "no result"],
)
def test_a_failed_notebook_changes_nothing(tiny_project: Any, cell: str, reason: str) -> None:
    tiny_project.out.parent.mkdir(parents=True)
    tiny_project.out.write_text("as before")
    tiny_project.write_notebook(cell)
    done = tiny_project.run(EXECUTE, "toy", *QUICK, *FILES)
    assert done.returncode == 1
    assert "toy failed, nothing is written" in done.stderr
    assert reason in done.stderr
    assert "runpy" not in done.stderr  # the machinery's own frames help nobody
    assert tiny_project.out.read_text() == "as before"
    assert [path.name for path in tiny_project.out.parent.iterdir()] == ["toy.ipynb"]


def test_a_killed_run_leaves_nothing_and_the_next_resumes(tiny_project: Any) -> None:
    process = tiny_project.start(
        EXECUTE, "toy", *QUICK, *FILES, TOY_GO=str(tiny_project.root / "go")
    )
    tiny_project.wait_for("step 1 of width 5")
    os.kill(process.pid, signal.SIGKILL)  # the process alone, not its kernel
    process.communicate()
    assert not tiny_project.out.exists()
    assert not tiny_project.result.exists()
    deadline = time.monotonic() + 30
    while kernels_below(tiny_project.root):  # the kernel notices that nobody waits for it
        assert time.monotonic() < deadline
        time.sleep(0.1)
    done = tiny_project.run(EXECUTE, "toy", *QUICK, *FILES)
    assert done.returncode == 0, done.stderr
    steps = [line for line in tiny_project.log if line.startswith("step")]
    assert steps == [f"step {i} of width 5" for i in range(3)]  # none is repeated
    assert StudyResult.read(tiny_project.result).row("width").per_seed == (5.0, 3.0)
    assert outputs(tiny_project.out) == ["mean 4.0\n"]


def test_a_second_run_waits_for_the_first(tiny_project: Any) -> None:
    go = tiny_project.root / "go"
    first = tiny_project.start(EXECUTE, "toy", *QUICK, *FILES, TOY_GO=str(go))
    tiny_project.wait_for("step 1 of width 5")
    second = tiny_project.start(EXECUTE, "toy", *QUICK, *FILES)
    assert second.stderr is not None
    assert "toy is running in another process: waiting for it" in second.stderr.readline()
    assert tiny_project.log.count("notebook") == 1
    go.touch()
    for process in (first, second):
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert len([line for line in tiny_project.log if line.startswith("step")]) == 3


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("tyo", *QUICK), "there is no notebook notebooks/tyo.ipynb"),
        (("toy", "--profile", "qick"), "profile is 'qick', allowed are smoke, quick"),
        (("other", *QUICK), "profile 'quick' has no parameters for study 'other'; it has toy"),
    ],
)
def test_wrong_arguments_end_before_any_work(
    tiny_project: Any, arguments: tuple[str, ...], sentence: str
) -> None:
    (tiny_project.root / "notebooks" / "other.ipynb").touch()
    done = tiny_project.run(EXECUTE, *arguments, *FILES)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert tiny_project.log == []


def test_kernels_that_start_together_have_sockets_of_their_own(tmp_path: Path) -> None:
    first, second = address(str(tmp_path / "a")), address(str(tmp_path / "b"))
    if first["transport"] == "ipc":
        assert first["ip"] != second["ip"]
    assert address("/" + "x" * 110) == {"transport": "tcp"}


@pytest.mark.parametrize(
    ("used", "given", "same"),
    [
        (0.001, "1e-3", True),
        ([0.0001, 0.5], ["1e-4", 0.5], True),
        (1.0, 1, True),
        ("frames.npz", "/data/frames.npz", True),
        ("frames.npz", "data/frames.npz", False),
        ([1, 2], [1], False),
        (0.001, "quick", False),
        (5, "5", False),
    ],
)
def test_used_is_compared_with_given_as_parameters_are_read(
    used: object, given: object, same: bool
) -> None:
    assert _same(used, given) is same
