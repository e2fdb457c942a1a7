"""Results of benchmarks: one JSON file each, with what was compared, on what, and when.

A measurement is one case: our time, those of the peers, the limit. Its ratios and whether its goal
is met are computed from these, and written for readers of the file. A benchmark that knows no peer
compares with its limit alone.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seethrough.checked_json import (
    of_type,
    parse_json,
    pretty_json,
    with_keys,
    write_atomically,
)
from seethrough.checkout import PACKAGE_FOLDER, checkout_root
from seethrough.provenance import git_state

SCHEMA = 1
COMPUTED = ("times_faster", "over_limit", "goal_met")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One case of a benchmark. Times are in ms, the shortest of all rounds."""

    case: str
    """What was done, in words; unique in its benchmark."""
    shapes: str
    """Sizes of the inputs."""
    dtype: str
    """Precision of the numbers."""
    device: str
    """cpu, or the card's name."""
    threads: int
    """CPU threads."""
    rounds: int
    """Rounds of which the shortest counts."""
    ours: float
    """Our time."""
    peers: Mapping[str, float] = field(default_factory=dict)
    """Peer -> its time."""
    limit: float | None = None
    """Time of what nobody can leave out, as torch computes it; the report says what it is."""
    clock: str = "CPU time"
    """What the times are: CPU time, elapsed time or time between events."""
    goal_faster: float | None = None
    """Least ratio of a peer's time to ours that was aimed at."""
    goal_peer: str | None = None
    """The peer of that goal; None is the fastest."""
    goal_limit: float | None = None
    """Highest ratio of our time to the limit that was aimed at."""
    goal_ms: float | None = None
    """Longest time of ours that was aimed at."""
    note: str = ""
    """What else was measured."""

    def __post_init__(self) -> None:
        for name, time in {"ours": self.ours, "limit": self.limit, **self.peers}.items():
            if time is not None and not 0 < time < float("inf"):
                raise ValueError(f"{name} took {time} ms, allowed is a finite time above 0")
        if self.goal_peer is not None and self.goal_peer not in self.peers:
            raise ValueError(
                f"goal_peer is {self.goal_peer!r}, allowed are {', '.join(self.peers)}"
            )

    @property
    def times_faster(self) -> float | None:
        """Return the time of the goal's peer, else of the fastest, over ours; None without one."""
        if not self.peers:
            return None
        return self.peers[self.goal_peer or self.fastest_peer] / self.ours

    @property
    def fastest_peer(self) -> str:
        """Return the name of the fastest peer, "" without one."""
        return min(self.peers, key=lambda name: self.peers[name], default="")

    @property
    def over_limit(self) -> float | None:
        """Return our time over the limit; None without a limit."""
        return None if self.limit is None else self.ours / self.limit

    @property
    def goal_met(self) -> bool | None:
        """Return whether every goal is met; None without one."""
        met = []
        if self.goal_faster is not None and self.times_faster is not None:
            met.append(self.times_faster >= self.goal_faster)
        if self.goal_limit is not None and self.over_limit is not None:
            met.append(self.over_limit <= self.goal_limit)
        if self.goal_ms is not None:
            met.append(self.ours <= self.goal_ms)
        return all(met) if met else None


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkReport:
    """Everything that one benchmark measured."""

    name: str
    """Name of its file."""
    what: str
    """The question, in words."""
    command: str
    """How to measure it again, from the project's folder."""
    limit: str
    """What the limit is, in words."""
    measurements: tuple[Measurement, ...]
    """The cases, with distinct names."""
    versions: Mapping[str, str]
    """Versions of torch, numpy and the peers."""
    machine: str
    """Name of the processor."""
    date: str
    """Day of the measurement, year first."""
    git_commit: str | None
    """Commit of the code, None outside a git checkout."""
    git_dirty: bool
    """True if the code differs from that commit."""

    def __post_init__(self) -> None:
        cases = [measurement.case for measurement in self.measurements]
        doubled = sorted({case for case in cases if cases.count(case) > 1})
        if doubled:
            raise ValueError(f"cases {', '.join(doubled)} stand twice, allowed is once each")


def benchmark_parser(description: str, rounds: int) -> argparse.ArgumentParser:
    """Return the options that all benchmarks have: --rounds, and --out for the report's folder."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="of which the shortest counts")
    parser.add_argument("--out", type=Path, help="folder of the JSON; results/benchmarks if absent")
    return parser


def write_report(
    *,
    name: str,
    what: str,
    command: str,
    limit: str,
    measurements: Sequence[Measurement],
    packages: Sequence[str] = (),
    folder: Path | None = None,
) -> Path:
    """Write the report of a benchmark that ran here and now; return its path.

    `packages` are the distributions whose versions matter besides torch and numpy. The folder is
    the checkout's results/benchmarks unless another one is given.
    """
    from seethrough.performance.clock import cpu_name

    commit, dirty = git_state(PACKAGE_FOLDER)
    report = BenchmarkReport(
        name=name,
        what=what,
        command=command,
        limit=limit,
        measurements=tuple(map(_in_five_digits, measurements)),
        versions={package: version(package) for package in ("torch", "numpy", *packages)},
        machine=cpu_name(),
        date=date.today().isoformat(),
        git_commit=commit,
        git_dirty=dirty,
    )
    path = (folder or benchmarks_folder()) / f"{name}.json"
    write_atomically(path, pretty_json(plain(report)))
    return path


def _in_five_digits(entry: Measurement) -> Measurement:
    """Return the measurement with times that do not pretend to more digits than they have."""
    peers = {name: float(f"{time:.5g}") for name, time in entry.peers.items()}
    limit = None if entry.limit is None else float(f"{entry.limit:.5g}")
    return replace(entry, ours=float(f"{entry.ours:.5g}"), peers=peers, limit=limit)


def benchmarks_folder() -> Path:
    """Return results/benchmarks of the checkout; raise FileNotFoundError outside of one."""
    root = checkout_root()
    if root is None:
        raise FileNotFoundError("results of benchmarks are kept in a checkout, this is none")
    return root / "results" / "benchmarks"


def plain(report: BenchmarkReport) -> dict[str, Any]:
    """Return the report as plain data, ratios included."""
    content = {"schema": SCHEMA, **asdict(report)}
    content["measurements"] = [
        asdict(entry) | {key: _rounded(getattr(entry, key)) for key in COMPUTED}
        for entry in report.measurements
    ]
    return content


def read_report(path: Path) -> BenchmarkReport:
    """Return what a file holds.

    Raises:
        ValueError: it is no valid report; the message names the file and what is wrong.
    """
    names = [entry.name for entry in fields(BenchmarkReport)]
    try:
        content = with_keys(parse_json(path.read_text("utf-8")), ["schema", *names], "the report")
        if content.pop("schema") != SCHEMA:
            raise ValueError(f"the schema is another than {SCHEMA}")
        entries = of_type(content.pop("measurements"), list, "measurements")
        measurements = tuple(_measurement(entry) for entry in entries)
        return BenchmarkReport(measurements=measurements, **content)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path.name}: {error}") from error


def read_reports(folder: Path) -> dict[str, BenchmarkReport]:
    """Return name -> report of all files in a folder, by name."""
    reports = [read_report(path) for path in sorted(folder.glob("*.json"))]
    return {report.name: report for report in reports}


def committed_reports() -> dict[str, BenchmarkReport]:
    """Return name -> report of results/benchmarks, nothing outside of a checkout."""
    return read_reports(benchmarks_folder()) if checkout_root() is not None else {}


def _measurement(entry: object) -> Measurement:
    names = [field.name for field in fields(Measurement)]
    content = with_keys(entry, [*names, *COMPUTED], "a measurement")
    written = {key: content.pop(key) for key in COMPUTED}
    found = Measurement(**content)
    computed = {key: _rounded(getattr(found, key)) for key in COMPUTED}
    if written != computed:
        raise ValueError(f"the ratios of {found.case!r} do not follow from its times")
    return found


def _rounded(value: float | bool | None) -> float | bool | None:
    return value if value is None or isinstance(value, bool) else round(value, 4)
