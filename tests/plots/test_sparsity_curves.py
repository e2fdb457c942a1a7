from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure

from seethrough.plots import sparsity_curves
from seethrough.plots.style import new_figure
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult

LEVELS = {"wanda/0.7": 3.0, "dense_tuned": 1.0, "wanda/0.5": 2.0, "dense": 5.0}
ENDS = {"": 0.0, "_low": -0.5, "_high": 1.0}


def run(**parameters: object) -> StudyResult:
    """A run of two seeds, half below and half above a model's level, and its interval's ends."""
    rows = []
    for name, level in LEVELS.items():
        method, _, sparsity = name.partition("/")
        cell = {"model": method, "sparsity": float(sparsity or 0)}
        for end, by in ENDS.items():
            values = (level + by - 0.5, level + by + 0.5)
            rows.append(Row(f"impact{end}/top/{name}", "", cell, "1", values))
    provenance = Provenance(
        parameters=parameters, seeds=(0, 1), profile="custom", device="cpu", threads=1,
        versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("a_study", tuple(rows), (), provenance)


def without(result: StudyResult, model: str) -> StudyResult:
    kept = (row for row in result.rows if not row.id.endswith(f"/{model}"))
    return replace(result, rows=tuple(kept))


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_models_come_by_sparsity_after_the_dense_ones() -> None:
    models = sparsity_curves.models_of(run())
    assert [model.name for model in models] == ["dense", "dense_tuned", "wanda/0.5", "wanda/0.7"]
    assert [model.label for model in models] == [
        "dense, as released", "dense, same steps", "50 % removed", "70 % removed",
    ]  # fmt: skip


def test_what_a_run_knows() -> None:
    assert sparsity_curves.n_classes_of(run(n_classes=4)) == 4
    assert sparsity_curves.n_classes_of(run()) is None
    assert not sparsity_curves.knows_factors(run())
    gap = Row("factor_gap/dense", "", {}, "1", (0.1, 0.2))
    assert sparsity_curves.knows_factors(replace(run(), rows=(*run().rows, gap)))


def test_curves_leave_out_the_released_model() -> None:
    rows = sparsity_curves.curve_rows(run(), "impact/top")
    assert [row.per_seed for _, row in rows] == [(0.5, 1.5), (1.5, 2.5), (2.5, 3.5)]
    assert sparsity_curves.curve(run(), "impact/top") == ([0.0, 0.5, 0.7], [1.0, 2.0, 3.0])
    assert sparsity_curves.curve(run(), "nothing") == ([], [])


def test_a_model_without_the_row_is_left_out_of_its_curve() -> None:
    whole = run()
    fewer = replace(whole, rows=tuple(r for r in whole.rows if r.id != "impact/top/wanda/0.5"))
    assert len(sparsity_curves.models_of(fewer)) == 4
    assert sparsity_curves.curve(fewer, "impact/top") == ([0.0, 0.7], [1.0, 3.0])


def test_the_released_model_is_a_diamond_where_it_has_a_row() -> None:
    _, (axes, other) = new_figure(2)
    sparsity_curves.draw_means(axes, run(), "impact/top", "top units", "#0072B2", "--")
    line, diamond = axes.lines
    assert line.get_xydata().tolist() == [[0, 1], [0.5, 2], [0.7, 3]]
    assert (line.get_label(), line.get_linestyle()) == ("top units", "--")
    assert (diamond.get_marker(), diamond.get_xydata().tolist()) == ("D", [[0, 5]])
    sparsity_curves.draw_means(other, without(run(), "dense"), "impact/top", "", "#0072B2")
    assert [line.get_marker() for line in other.lines] == ["."]


def test_a_band_reaches_from_the_lower_to_the_upper_ends() -> None:
    _, (axes,) = new_figure()
    sparsity_curves.draw_with_band(axes, run(), "impact", "top", "top units", "#0072B2")
    (band,) = axes.collections
    corners = {tuple(corner) for corner in np.array(band.get_paths()[0].vertices).tolist()}
    assert corners == {(0, 0.5), (0.5, 1.5), (0.7, 2.5), (0, 2), (0.5, 3), (0.7, 4)}
    assert [line.get_marker() for line in axes.lines] == [".", "D"]


def test_sparsity_stands_below_the_bottom_panels() -> None:
    figure, _ = new_figure()
    figure.clear()
    lines = figure.subplots(2, 1, sharex=True)
    for axes in lines:
        axes.plot([0, 0.7], [1, 2], label="top units")
    sparsity_curves.finish(figure, lines[-1:], "this run", "shuffled")
    assert [axes.get_xlabel() for axes in lines] == ["", "weights removed"]
    assert lines[1].xaxis.get_major_formatter()(0.3, 0) == "30 %"
    assert lines[0].get_xlim()[0] == -0.03
    assert figure.get_suptitle() == "this run"
    assert words(figure) == ["top units", "dense, as released", "shuffled"]


def test_dotted_lines_without_words_are_not_in_the_legend() -> None:
    figure, panels = new_figure()
    sparsity_curves.finish(figure, panels, "this run")
    assert words(figure) == ["dense, as released"]


def test_a_note_is_a_sentence_alone() -> None:
    (axes,) = sparsity_curves.note("Nothing is known.").axes
    assert [text.get_text() for text in axes.texts] == ["Nothing is known."]
    assert not axes.axison
