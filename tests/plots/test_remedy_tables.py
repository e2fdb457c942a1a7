from collections.abc import Sequence
from typing import Any

from seethrough.plots import remedy_tables
from seethrough.provenance import Provenance
from seethrough.results import Cell, Row, StudyResult
from seethrough.studies.remedy_verdict import TOLD

BASE: dict[str, Sequence[float]] = {
    "dead_share": (0.4, 0.5, 0.6),
    "dead_share_by_relu": (0.1, 0.1, 0.1),
    "unexplained": (0.10, 0.11, 0.12),
    "mig_code": (0.02, 0.02, 0.02),
    "best_information": (0.5, 0.5, 0.5),
    "specialised_units": (30, 31, 35),
    "factors_covered": (3, 3, 3),
    "probe": (0.5, 0.5, 0.5),
    "active": (50, 50, 50),
}
CURED = BASE | {"dead_share": (0.01, 0.01, 0.01)}
BLIND = CURED | {"specialised_units": (1, 2, 6), "active": (90, 90, 90)}


def result(n_seeds: int = 3, **arms: dict[str, Sequence[float]]) -> StudyResult:
    """One data set, 500 units, the small dictionary at 64; remedies by name."""
    rows: list[Row] = []
    for remedy, measured in arms.items():
        where = f"dsprites/{remedy}/{64 if remedy == 'small_dictionary' else 500}"
        rows += [_row(f"{name}/{where}", values[:n_seeds]) for name, values in measured.items()]
        rows += [
            _row(
                f"{name}_change/{where}",
                [a - b for a, b in zip(measured[name][:n_seeds], BASE[name], strict=False)],
            )
            for name in TOLD
        ]
    rows.append(_row("cost/dsprites/auxk/500", [1.26]))
    rows.append(_row("remedies_passing/dsprites/500", [1.0], {"tried": 2}))
    best: Cell = {"remedy": "auxk"}
    rows.append(_row("best_remedy_dead_share/dsprites/500", (0.01, 0.01, 0.01), best))
    provenance = Provenance(
        parameters={"n_train": 256, "epochs": 50, "k_end": 50}, seeds=tuple(range(n_seeds)),
        profile="custom", device="cpu", threads=1, versions={}, git_commit=None, git_dirty=False,
        seconds=1.0,
    )  # fmt: skip
    return StudyResult("collapse_remedies", tuple(rows), (), provenance)


def _row(id: str, values: Sequence[float], cell: Cell | None = None) -> Row:
    return Row(id, id, cell or {}, "1", tuple(float(value) for value in values))


def lines(table: Any) -> list[list[str]]:
    rows = [line.strip("| ").split(" | ") for line in table.data.splitlines()]
    return [rows[0], *rows[2:]]


def test_each_remedy_says_what_is_worse_and_whether_it_passes() -> None:
    run = result(baseline=BASE, auxk=CURED, batch_top_k=BLIND)
    header, *body = lines(remedy_tables.remedy_table({"this run": run}, "dsprites", 500))
    verdicts = {line[0]: (line[header.index("worse in")], line[-1]) for line in body}
    assert verdicts == {
        "baseline": ("–", "–"),
        "AuxK": ("nothing", "yes"),
        "BatchTopK": ("specialised, k not kept", "no"),
    }
    assert body[1][2].replace("\N{NARROW NO-BREAK SPACE}", " ") == "1 % (1 to 1)"
    assert body[0][4] == "0.020 (0.020 to 0.020)"


def test_a_layer_that_adds_error_has_no_digits() -> None:
    run = result(baseline=BASE, auxk=CURED | {"unexplained": (20.0, 3000.0, 11.0)})
    body = lines(remedy_tables.remedy_table({"this run": run}, "dsprites", 500))[1:]
    assert [line[3] for line in body] == ["0.11 (0.085 to 0.13)", "above 10"]


def test_one_seed_has_no_judgement() -> None:
    run = result(1, baseline=BASE, auxk=CURED)
    body = lines(remedy_tables.remedy_table({"this run": run}, "dsprites", 500))[1:]
    assert [line[-2:] for line in body] == [["–", "–"], ["–", "–"]]


def test_runs_stand_below_each_other() -> None:
    runs = {"reference run": result(baseline=BASE, auxk=CURED), "this run": result(baseline=BASE)}
    body = lines(remedy_tables.remedy_table(runs, "dsprites", 500))[1:]
    assert [line[:2] for line in body] == [
        ["baseline", "reference run"], ["baseline", "this run"], ["AuxK", "reference run"]
    ]  # fmt: skip
    assert len(lines(remedy_tables.remedy_table(runs, "shapes3d", 500))) == 1


def test_the_verdict_names_the_best_remedy() -> None:
    run = result(baseline=BASE, auxk=CURED)
    _, line = lines(remedy_tables.verdict_table({"this run": run}))
    assert line[:2] == ["dSprites", "500"]
    assert line[2] == "this run, 256 images, 50 epochs, 3 seeds"
    assert line[3:6] == ["2", "1", "AuxK"]
    assert line[6].replace("\N{NARROW NO-BREAK SPACE}", " ") == "1.0 % (1.0 to 1.0)"
    assert line[7].startswith("-49.0")  # 1, 1, 1 against 40, 50, 60 per cent


def test_the_weak_side_of_the_best_remedy_is_told() -> None:
    measured = CURED | {"best_information": (0.4, 0.45, 0.35), "probe": (0.52, 0.52, 0.52)}
    run = result(baseline=BASE, auxk=measured)
    _, line = lines(remedy_tables.weak_side_table({"this run": run}))
    assert line[:4] == ["dSprites, 500 units", "this run", "AuxK", "0.0 (0.0 to 0.0)"]
    # differences -0.10, -0.05, -0.15: mean -0.10, half width 4.30 x 0.05 / sqrt(3) = 0.124
    assert line[4] == "-0.100 (-0.224 to 0.024)"
    assert line[5].replace("\N{NARROW NO-BREAK SPACE}", " ") == "+2.0 points (+2.0 to +2.0)"


def test_there_is_no_weak_side_if_every_remedy_is_worse() -> None:
    run = result(baseline=BASE, centred=CURED)  # the best row names a remedy without differences
    assert len(lines(remedy_tables.weak_side_table({"this run": run}))) == 1


def test_the_small_dictionary_stands_beside_the_baseline() -> None:
    run = result(baseline=BASE, auxk=CURED, small_dictionary=CURED)
    header, *body = lines(remedy_tables.small_table({"this run": run}, 500))
    assert [line[0] for line in body] == ["dSprites, 500 units", "dSprites, 64 units"]
    assert len({len(line) for line in (header, *body)}) == 1


def test_what_changes_nothing_before_training_is_foretold_once() -> None:
    told: dict[str, Sequence[float]] = {
        "gamma": (1, 1, 1), "predicted_dead_share": (0.2, 0.2, 0.2),
        "untrained_dead_share": (0.3, 0.3, 0.3),
    }  # fmt: skip
    run = result(baseline=BASE | told, auxk=CURED | told, batch_top_k=BLIND, centred=CURED | told)
    body = lines(remedy_tables.foretold_table({"this run": run}, 500))[1:]
    assert [line[0] for line in body] == ["dSprites, baseline", "dSprites, centred"]
    shares = [text.split("\N{NARROW NO-BREAK SPACE}")[0] for text in body[1][3:]]
    assert shares == ["20", "30", "1"]


def test_costs_are_ratios() -> None:
    run = result(baseline=BASE, auxk=CURED, centred=CURED)
    header, *body = lines(remedy_tables.cost_table({"this run": run}, 500))
    assert header == ["remedy", "run", "dSprites"]
    assert body == [["centred", "this run", "–"], ["AuxK", "this run", "1.3"]]
