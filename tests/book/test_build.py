"""Building the book: what runs again and what does not, kills, and two builds at once."""

import os
import shutil
import signal
import time
from typing import Any

import nbformat
import pytest

from seethrough.results import StudyResult

BUILD = "seethrough.book.build"
QUICK = ("--profile", "quick", "--cores", "2")


def page(project: Any) -> str:
    return (project.site / "book" / "executed" / "toy.html").read_text()


def finished(project: Any, width: int) -> bool:
    """Say whether everything in the project shows the run with this width."""
    notebook = nbformat.read(project.out, as_version=4)
    texts = [o.text for cell in notebook.cells if cell.cell_type == "code" for o in cell.outputs]
    mean = (width + 3.0) / 2
    return (
        texts == [f"mean {mean}\n"]
        and StudyResult.read(project.result).row("width").mean == mean
        and f"mean {mean}" in page(project)
        and (project.site / ".complete").exists()
        and not [p.name for p in project.site.parent.iterdir() if p.name.startswith(".site-")]
    )


@pytest.mark.slow
def test_a_build_and_what_it_repeats(tiny_project: Any) -> None:
    first = tiny_project.run(BUILD, *QUICK)
    assert first.returncode == 0, first.stderr
    assert finished(tiny_project, width=5)
    assert first.stdout.splitlines()[0] == "notebook  seconds  scale"
    assert first.stdout.splitlines()[1].startswith("toy ")
    assert first.stdout.splitlines()[1].endswith("  quick")
    assert first.stdout.splitlines()[-1] == f"Open {tiny_project.site / 'index.html'}"

    # Nothing changed: nothing runs.
    built = (tiny_project.site / ".complete").stat().st_mtime_ns
    second = tiny_project.run(BUILD, *QUICK)
    assert (second.returncode, second.stdout) == (0, first.stdout), second.stderr
    assert second.stderr == ""
    assert (tiny_project.site / ".complete").stat().st_mtime_ns == built
    assert tiny_project.log.count("notebook") == 1

    # The executed notebook was deleted: it runs again.
    shutil.rmtree(tiny_project.out.parent)
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert finished(tiny_project, width=5)
    assert tiny_project.log.count("notebook") == 2

    # The site was deleted: it alone is built again.
    shutil.rmtree(tiny_project.site.parent)
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert finished(tiny_project, width=5)
    assert tiny_project.log.count("notebook") == 2

    # A page changed: the site is built again, no notebook runs.
    (tiny_project.root / "book" / "intro.md").write_text("# Intro\n\nAnother page.\n")
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert "Another page." in (tiny_project.site / "book" / "intro.html").read_text()
    assert tiny_project.log.count("notebook") == 2

    # Another profile, and back: both run, what is stored is not computed again.
    for profile, width in (("smoke", 1), ("quick", 5)):
        assert tiny_project.run(BUILD, "--profile", profile).returncode == 0
        assert finished(tiny_project, width=width)
    assert tiny_project.log.count("notebook") == 4
    assert tiny_project.log.count("step 0 of width 5") == 1

    # The study's code changed: its notebook runs again.
    study = tiny_project.root / "src" / "seethrough" / "studies" / "toy.py"
    study.write_text(study.read_text().replace("(float(parameters.width), 3.0)", "(6.0, 6.0)"))
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert "mean 6.0" in page(tiny_project)
    assert tiny_project.log.count("step 0 of width 5") == 2


@pytest.mark.slow
def test_a_faulty_page_leaves_the_old_site(tiny_project: Any) -> None:
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    intro = tiny_project.root / "book" / "intro.md"
    intro.write_text("# Intro\n\nSee {doc}`/book/nowhere`.\n")
    done = tiny_project.run(BUILD, *QUICK)
    assert done.returncode == 1
    assert "nowhere" in done.stderr  # the log is shown
    assert "A page." in (tiny_project.site / "book" / "intro.html").read_text()

    intro.write_text("# Intro\n\nA better page.\n")
    gates = tiny_project.root / "src" / "seethrough" / "book" / "gates.py"
    works = gates.read_text()
    gates.write_text("import sys\nsys.exit('a gate fails')\n")
    done = tiny_project.run(BUILD, *QUICK)
    assert done.returncode == 1
    assert "a gate fails" in done.stderr
    assert "A page." in (tiny_project.site / "book" / "intro.html").read_text()

    gates.write_text(works)
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert "A better page." in (tiny_project.site / "book" / "intro.html").read_text()
    assert finished(tiny_project, width=5)


def test_two_builds_at_once(tiny_project: Any) -> None:
    go = tiny_project.root / "go"
    first = tiny_project.start(BUILD, *QUICK, TOY_GO=str(go))
    tiny_project.wait_for("step 1 of width 5")
    second = tiny_project.start(BUILD, *QUICK)
    assert second.stderr is not None
    assert second.stderr.readline() == "another build is running here, waiting\n"
    go.touch()
    outs = []
    for process in (first, second):
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        outs.append(out)
    assert err == ""  # the second said so once, and had nothing to do
    assert outs[0] == outs[1]
    assert tiny_project.log.count("notebook") == 1
    assert finished(tiny_project, width=5)


@pytest.mark.parametrize("victims", ["build alone", "everything"])
def test_a_build_killed_in_a_notebook(tiny_project: Any, victims: str) -> None:
    go = tiny_project.root / "go"
    process = tiny_project.start(BUILD, *QUICK, TOY_GO=str(go), SILENT="1")
    tiny_project.wait_for("step 1 of width 5")
    if victims == "everything":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        os.kill(process.pid, signal.SIGKILL)  # the notebook goes on without it
    process.wait()
    assert not tiny_project.out.exists()
    assert not tiny_project.result.exists()
    again = tiny_project.start(BUILD, *QUICK)
    if victims == "build alone":
        assert again.stderr is not None
        assert "toy is running in another process" in again.stderr.readline()
        go.touch()
    _, err = again.communicate(timeout=120)
    assert again.returncode == 0, err
    assert finished(tiny_project, width=5)
    steps = [line for line in tiny_project.log if line.startswith("step")]
    assert steps == [f"step {i} of width 5" for i in range(3)]  # none is repeated


@pytest.mark.slow
def test_a_build_killed_in_the_site(tiny_project: Any) -> None:
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    (tiny_project.root / "book" / "intro.md").write_text("# Intro\n\nAnother page.\n")
    process = tiny_project.start(BUILD, *QUICK, SILENT="1")
    deadline = time.monotonic() + 60
    while not list(tiny_project.site.parent.glob(".site-*/_build/html")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert "A page." in (tiny_project.site / "book" / "intro.html").read_text()
    assert tiny_project.run(BUILD, *QUICK).returncode == 0
    assert "Another page." in (tiny_project.site / "book" / "intro.html").read_text()
    assert finished(tiny_project, width=5)
    assert tiny_project.log.count("notebook") == 1


@pytest.mark.parametrize(
    ("file", "text", "profile", "sentence"),
    [
        ("params/quick.yml", "toy: {width: 5}", "quik", "profile is 'quik', allowed are smoke"),
        (
            "params/quick.yml",
            "toy: {widht: 5}",
            "quick",
            "params/quick.yml, toy: parameter 'widht'",
        ),
        (
            "params/quick.yml",
            "toi: {}",
            "quick",
            "params/quick.yml has no parameters for notebooks",
        ),
        (
            "params/quick.yml",
            "{toy: {}, toi: {}}",
            "quick",
            "params/quick.yml, toi: study 'toi' is",
        ),
    ],
)
def test_wrong_profiles_end_before_any_work(
    tiny_project: Any, file: str, text: str, profile: str, sentence: str
) -> None:
    (tiny_project.root / file).write_text(text)
    done = tiny_project.run(BUILD, "--profile", profile)
    assert done.returncode == 2
    assert done.stderr.startswith(sentence)
    assert done.stderr.count("\n") == 1
    assert not (tiny_project.root / ".snakemake").exists()


def test_outside_the_project(tiny_project: Any) -> None:
    (tiny_project.root / "Snakefile").unlink()
    done = tiny_project.run(BUILD)
    assert done.returncode == 2
    assert done.stderr == "there is no Snakefile here: run this in the project's folder\n"
