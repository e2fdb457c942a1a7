from dataclasses import replace
from typing import Any

import pytest

from seethrough.performance.report import BenchmarkReport, Measurement
from seethrough.plots import performance
from seethrough.results import StudyResult

FULL = Measurement(
    case="float32 encoder, 1 thread, CPU time", shapes="B 4", dtype="float32", device="cpu",
    threads=1, rounds=3, ours=2.0, peers={"slow": 1234.0, "fast": 7.0}, limit=1.6, goal_faster=3.0,
    goal_limit=1.2,
)  # fmt: skip
HALF = replace(FULL, case="bfloat16 encoder", ours=1.0, goal_faster=None, goal_limit=None,
               note="as exact")  # fmt: skip


def report(name: str, *measurements: Measurement) -> BenchmarkReport:
    return BenchmarkReport(
        name=name, what=f"the {name}", command="python x.py", limit="a copy",
        measurements=measurements, versions={"torch": "2"}, machine="a processor",
        date="2026-11-21", git_commit=None, git_dirty=False,
    )  # fmt: skip


def lines(markdown: Any) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.data.splitlines()
    ]


def test_a_case_with_its_goals() -> None:
    header, _, first, second = lines(performance.report_table(report("x", FULL, HALF)))
    assert header[-2:] == ["goal", "met"]
    assert first == [
        "float32 encoder, 1 thread, CPU time", "2", "fast 7, slow 1,234", "3.50 x (fast)", "1.6",
        "1.25 x", "at least 3 x faster, at most 1.2 x the limit", "no",
    ]  # fmt: skip
    assert second[-2:] == ["none", "–"]


def test_without_limit_there_is_no_column_for_it() -> None:
    header, _, line = lines(performance.report_table(report("x", replace(HALF, limit=None))))
    assert header == ["case", "ours, ms", "peers, ms", "ratio", "goal", "met"]
    assert len(line) == len(header)


def test_the_peer_of_the_goal_counts() -> None:
    assert performance.faster_text(replace(FULL, goal_peer="slow")) == "617 x (slow)"
    assert performance.faster_text(replace(FULL, peers={})) == "–"
    assert performance.goal_text(replace(HALF, goal_ms=0.5)) == "at most 0.5 ms"


def test_where_numbers_come_from() -> None:
    text = performance.origin_text(report("x", FULL, HALF)).data
    assert text.startswith("Limit: a copy. B 4. a processor, CPU time, 3 rounds, torch 2, 2026-11")
    assert text.endswith("bfloat16 encoder: as exact.")


def test_what_is_missing_is_said() -> None:
    assert performance.report_table(None).data == "*not measured*"
    assert performance.origin_text(None).data == ""
    table = lines(performance.gpu_table(None))
    assert {line[-1] for line in table[2:]} == {"not measured"}
    assert len(table) == 2 + len(performance.GPU_GOALS)
    assert performance.gpu_table(report("gpu", FULL)).data.count("float32 encoder") == 1


def test_overview() -> None:
    reports = {"a": report("a", FULL, HALF), "b": report("b", HALF)}
    assert lines(performance.overview_table(reports))[2:] == [
        ["the a", "2", "0 of 1", "2026-11-21"],
        ["the b", "1", "–", "2026-11-21"],
    ]


@pytest.mark.parametrize("widths", [(), (6144,), (24_576, 6144)])
def test_one_column_for_each_width(widths: tuple[int, ...]) -> None:
    reports = {f"sae_train_step_{w}": report(f"sae_train_step_{w}", FULL, HALF) for w in widths}
    figure = performance.training_steps(reports)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ([f"{width:,} latents" for width in sorted(widths)] or [""])
    for axes in figure.axes[: len(widths)]:
        assert len(axes.patches) == 6  # two limits, two of ours, two peers


def test_tables_of_a_run(make_result: Any) -> None:
    rows = {f"time/{name}": [2.0 + i] for i, name in enumerate(("ours", "dense", "product"))}
    rows |= {"error/loss": [1e-7], "error/W_dec": [1e-6]}
    setting = {"batch_size": 1024, "d_input": 8, "expansion": 4, "k": 3, "rounds": 1}
    result: StudyResult = make_result(rows, **setting)
    assert lines(performance.live_table(result))[2:] == [
        ["encoder's product alone", "4", "2.00 x"],
        ["ours", "2", "1.00 x"],
        ["dense torch", "3", "1.50 x"],
    ]
    table = dict(lines(performance.setting_table(result))[2:])
    assert table["latents"] == "32"
    assert table["loss and gradients equal"] == "to 1e-04 of their norm"
    wrong: StudyResult = make_result(rows | {"error/W_dec": [0.1]}, **setting)
    assert lines(performance.setting_table(wrong))[-1] == ["loss and gradients equal", "no"]
