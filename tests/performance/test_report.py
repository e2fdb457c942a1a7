import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seethrough.checkout import checkout_root
from seethrough.performance.report import (
    BenchmarkReport,
    Measurement,
    benchmark_parser,
    committed_reports,
    plain,
    read_report,
    read_reports,
    write_report,
)

ENTRY = Measurement(
    case="a case", shapes="4 x 4", dtype="float32", device="cpu", threads=1, rounds=3, ours=2.0,
    peers={"slow": 12.0, "fast": 7.0}, limit=1.6, goal_faster=3.0, goal_limit=1.3,
)  # fmt: skip


def test_ratios_by_hand() -> None:
    assert ENTRY.fastest_peer == "fast"
    assert ENTRY.times_faster == 3.5  # 7 / 2
    assert ENTRY.over_limit == 1.25  # 2 / 1.6
    assert ENTRY.goal_met is True
    against_slow = replace(ENTRY, goal_peer="slow")
    assert against_slow.times_faster == 6.0


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        ({"goal_faster": 3.6}, False),
        ({"goal_limit": 1.2}, False),
        ({"goal_ms": 1.9}, False),
        ({"goal_ms": 2.0}, True),
        ({"goal_faster": None, "goal_limit": None}, None),
        ({"peers": {}, "goal_limit": None}, None),  # no peer: its goal says nothing
    ],
)
def test_a_goal_is_met_if_all_are(changes: dict[str, Any], met: bool | None) -> None:
    assert replace(ENTRY, **changes).goal_met is met


def test_without_peer_and_limit_there_is_no_ratio() -> None:
    alone = replace(ENTRY, peers={}, limit=None)
    assert alone.times_faster is None
    assert alone.over_limit is None
    assert alone.fastest_peer == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ours": 0.0}, "^ours took 0.0 ms, allowed is a finite time above 0$"),
        ({"peers": {"p": float("inf")}}, "^p took inf ms"),
        ({"limit": float("nan")}, "^limit took nan ms"),
        ({"goal_peer": "none"}, "^goal_peer is 'none', allowed are slow, fast$"),
    ],
)
def test_impossible_measurements_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(ENTRY, **changes)


def write(folder: Path, name: str = "some") -> Path:
    return write_report(
        name=name, what="what", command="python x.py", limit="nothing", measurements=[ENTRY],
        packages=("pytest",), folder=folder,
    )  # fmt: skip


def test_written_and_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    report = read_report(path)
    assert report.measurements == (ENTRY,)
    assert set(report.versions) == {"torch", "numpy", "pytest"}
    assert len(report.date) == 10
    written = json.loads(path.read_text())["measurements"][0]
    assert (written["times_faster"], written["over_limit"]) == (3.5, 1.25)
    assert written["goal_met"] is True
    write(tmp_path, "other")
    assert list(read_reports(tmp_path)) == ["other", "some"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"ours": 2.0', '"ours": 1.0', "some.json: the ratios of 'a case' do not follow"),
        ('"schema": 1', '"schema": 2', "some.json: the schema is another than 1"),
        ('"what": "what",', "", "some.json: the report lacks what"),
        ('"limit": 1.6', '"limit": NaN', "some.json: it holds NaN"),
    ],
)
def test_edited_files_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path)
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=message):
        read_report(path)


def test_cases_are_distinct(tmp_path: Path) -> None:
    report = read_report(write(tmp_path))
    with pytest.raises(ValueError, match="^cases a case stand twice"):
        replace(report, measurements=(ENTRY, ENTRY))


def test_times_have_five_digits(tmp_path: Path) -> None:
    entry = replace(ENTRY, ours=2.00000123, peers={"slow": 12345.678}, limit=0.123456789)
    path = write_report(
        name="some", what="what", command="python x.py", limit="nothing", measurements=[entry],
        folder=tmp_path,
    )  # fmt: skip
    (found,) = read_report(path).measurements
    assert (found.ours, found.peers, found.limit) == (2.0, {"slow": 12346.0}, 0.12346)


def test_options_of_every_benchmark(tmp_path: Path) -> None:
    options = benchmark_parser("A benchmark.", rounds=5).parse_args(["--out", str(tmp_path)])
    assert (options.rounds, options.out) == (5, tmp_path)


def test_committed_reports_are_whole() -> None:
    root = checkout_root()
    assert root is not None
    for name, report in committed_reports().items():
        assert isinstance(report, BenchmarkReport)
        path = root / "results" / "benchmarks" / f"{name}.json"
        assert json.loads(path.read_text()) == json.loads(json.dumps(plain(report)))
        script = report.command.split(" ")[1]
        assert (root / script).is_file()
