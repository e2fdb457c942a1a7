"""Figures and tables of attribution: what is drawn where, and what the cells of tables say."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from seethrough.attribution.insertion_deletion import InsertionDeletion
from seethrough.plots import attribution as plots
from seethrough.plots import attribution_maps as maps
from seethrough.plots import attribution_tables as tables
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.results import StudyResult
from seethrough.studies.attribution_examples import ExampleMaps
from seethrough.studies.impact_models import Condition

MODELS = ("dense", "dense_tuned", "wanda/0.3", "wanda/0.7")
SCORES = ("insertion", "deletion", "insertion_normalised", "deletion_normalised")
NAN = float("nan")


def spread(name: str, rest: str, mean: float, n: int) -> dict[str, list[float]]:
    """A row and the ends of its interval, 0.1 either side."""
    values = {"": mean, "_low": mean - 0.1, "_high": mean + 0.1}
    return {f"{name}{end}/{rest}": [value] * n for end, value in values.items()}


def rows(models: tuple[str, ...] = MODELS, n: int = 1) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for number, model in enumerate(models):
        found |= spread("clean_probability", model, 0.8, n) | spread("accuracy", model, 0.9, n)
        found |= spread("conservation_error", f"identity/{model}", 1e-7, n)
        found |= spread("conservation_error", f"inverse_gamma/{model}", 15.2, n)
        found[f"object_area/{model}"] = [0.1] * n
        for height, method in enumerate(("transformer", "random")):
            for score in SCORES:
                area = 0.2 + 0.1 * number - 0.05 * height
                found |= spread(score, f"{method}/patch/zero/{model}", area, n)
                if model != "dense":
                    rest = f"{method}/patch/zero/{model}/dense"
                    found |= spread(f"{score}_change", rest, 0.0125, n)
                    found[f"{score}_equivalent/{rest}"] = [1.0] + [0.0] * (n - 1)
            found |= spread("lift_on_object", f"{method}/{model}", 3.0 - height, n)
            found[f"share_on_object/{method}/{model}"] = [0.3] * n
    for score in SCORES:
        found |= spread(f"{score}_trend", "transformer/patch/zero", -0.5, n)
        found[f"{score}_trend_verdict/transformer/patch/zero"] = [-1.0] * n
    return found


def curves(models: tuple[str, ...] = MODELS, n: int = 1) -> dict[str, list[list[float]]]:
    return {
        f"{kind}/{method}/patch/zero/{model}": [[0.0, 0.5, 1.0]] * n
        for kind in ("insertion", "deletion")
        for method in ("transformer", "random")
        for model in models
    }


@pytest.fixture
def result(make_result: Any) -> StudyResult:
    made: StudyResult = make_result(rows(), curves())
    return made


@pytest.fixture
def other(make_result: Any) -> StudyResult:
    """A reference run of other models and three seeds."""
    models = ("dense", "dense_tuned", "wanda/0.1", "wanda/0.9")
    made: StudyResult = make_result(rows(models, 3), curves(models, 3))
    return made


@pytest.fixture
def natural(make_result: Any) -> StudyResult:
    """A run over pictures of which nobody knows where the object is."""
    known = {name: values for name, values in rows().items() if "object" not in name}
    made: StudyResult = make_result(known, curves())
    return made


@pytest.fixture
def examples() -> list[ExampleMaps]:
    points = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    found = InsertionDeletion(
        targets=torch.tensor([0, 1]),
        fractions=points,
        deletion=torch.tensor([[0.75, 0.25, 0.0], [0.5, 0.5, 0.5]]),
        insertion=torch.tensor([[0.0, 0.25, 0.75], [0.5, 0.5, 0.5]]),
    )
    relevance = torch.tensor([[[1.0, -1.0], [0.0, 3.0]]]).repeat(2, 1, 1)
    conditions = (
        Condition(method="dense"),
        Condition(method="wanda", sparsity=0.7, recovered=True),
    )
    return [
        ExampleMaps(
            condition=condition,
            pictures=torch.full((2, 3, 8, 8), 0.5),
            truths=("cube", "sphere"),
            predictions=("cube", "cube"),
            maps={"transformer": relevance * scale, "random": relevance},
            curves={"transformer": found, "random": found},
        )
        for scale, condition in zip((1, -1), conditions, strict=True)
    ]


def test_areas_stand_by_model_with_the_dense_one_apart(result: StudyResult) -> None:
    axes = plots.areas_by_model(None, result).axes
    assert len(axes) == 4
    lines = {line.get_label(): line for line in axes[0].lines if len(line.get_xdata()) == 3}
    assert list(lines) == ["transformer attribution", "random order"]
    # the second to fourth model: 0.2 + 0.1 i, and 0.05 less for the floor
    assert list(lines["transformer attribution"].get_ydata()) == pytest.approx([0.3, 0.4, 0.5])
    assert list(lines["random order"].get_ydata()) == pytest.approx([0.25, 0.35, 0.45])
    assert lines["random order"].get_linestyle() == "--"
    marks = [line for line in axes[0].lines if line.get_marker() == "o"]
    assert len(marks) == 2 * 4
    assert list(marks[0].get_ydata()) == pytest.approx([0.2])
    segment = axes[0].collections[0].get_segments()[0]  # type: ignore[attr-defined]
    assert segment[:, 1].tolist() == pytest.approx([0.1, 0.3])
    ticks = [text.get_text() for text in axes[2].get_xticklabels()]
    assert ticks == ["dense", "dense,\ntrained further", "30 %", "70 %"]


def test_this_run_is_marked_beside_a_reference_of_other_models(
    result: StudyResult, other: StudyResult
) -> None:
    axes = plots.areas_by_model(other, result).axes[0]
    diamonds = [line for line in axes.lines if line.get_marker() == "D"]
    assert len(diamonds) == 2 * 4
    ticks = [
        text.get_text() for text in plots.areas_by_model(other, result).axes[2].get_xticklabels()
    ]
    assert ticks[2:] == ["10 %", "30 %", "70 %", "90 %"]
    assert plots.mean_curves(other, result).axes[1].get_title("left") == "insertion, 90 % removed"


def test_one_image_has_no_interval_to_draw(make_result: Any) -> None:
    values = {
        name: [NAN] if "_low/" in name or "_high/" in name else seeds
        for name, seeds in rows().items()
    }
    alone = make_result(values, curves())
    assert len(plots.areas_by_model(None, alone).axes) == 4
    line = tables.models_table(None, alone).data.splitlines()[2]
    assert line == "| this run | dense | 90.0 % | 80.0 % |"


def test_curves_are_those_of_the_dense_model_and_the_papers_sparsity(result: StudyResult) -> None:
    axes = plots.mean_curves(None, result).axes
    assert [one.get_title("left") for one in axes] == [
        "insertion, dense", "insertion, 70 % removed", "deletion, dense", "deletion, 70 % removed"
    ]  # fmt: skip
    assert [line.get_label() for line in axes[0].lines] == [
        "transformer attribution", "random order"
    ]  # fmt: skip
    assert list(axes[0].lines[0].get_ydata()) == [0.0, 0.5, 1.0]
    assert axes[2].get_xlabel() == "share of patches changed"


def test_lift_has_the_line_of_chance(result: StudyResult, natural: StudyResult) -> None:
    (axes,) = plots.lift_by_model(None, result).axes
    chance = next(line for line in axes.lines if line.get_label() == "a map that knows nothing")
    assert list(chance.get_ydata()) == [1, 1]
    (axes,) = plots.lift_by_model(natural, result).axes  # the run that knows
    assert any(len(line.get_ydata()) == 3 for line in axes.lines)
    (axes,) = plots.lift_by_model(None, natural).axes
    assert "is not known" in axes.get_title("left")


def test_models_by_their_names() -> None:
    assert plots.model_text("wanda/0.15") == "15 % removed"
    assert plots.model_text("dense_tuned") == "dense, trained further"
    assert plots.nearest(["dense", "wanda/0.5", "wanda/0.9"], 0.7) == "wanda/0.9"
    assert plots.nearest(["dense", "wanda/0.65", "wanda/0.9"], 0.7) == "wanda/0.65"


def test_floor_comes_last(make_result: Any) -> None:
    names = [f"insertion/{m}/patch/zero/dense" for m in ("random", "rollout", "transformer")]
    run = make_result({name: [0.1] for name in names})
    assert plots.methods_of(run) == ["rollout", "transformer", "random"]
    assert plots.places_of(run) == ["patch/zero"]
    assert plots.methods_of(None) == []


def test_models_table_has_a_line_per_run_and_model(result: StudyResult, other: StudyResult) -> None:
    lines = tables.models_table(other, result).data.splitlines()[2:]
    assert len(lines) == 8
    assert lines[0].startswith("| reference run | dense | 90.0 % (80.0 to 100.0) | 80.0 %")
    assert lines[-1].startswith("| this run | 70 % removed |")


def test_changes_with_verdicts(result: StudyResult, other: StudyResult) -> None:
    lines = tables.changes_table(None, result, "dense").data.splitlines()[2:]
    assert [line.split(" | ")[2:4] for line in lines] == [
        ["dense, trained further", "not given"],
        ["30 % removed", "a slight gain"],
        ["70 % removed", "no further gain"],
    ]
    # round half to even of 0.0125 is 0.013 or 0.012 by its binary value; the ends are -0.0875
    # and 0.1125
    assert "| +0.013 (-0.087 to +0.113), equivalent |" in lines[0] or (
        "| +0.013 (-0.088 to +0.113), equivalent |" in lines[0]
    )
    assert not any("random" in line for line in lines)
    seeds = tables.changes_table(other, result, "dense").data.splitlines()[2]
    assert "equivalent 1, undecided 2" in seeds
    (dashes,) = tables.changes_table(None, result, "dense_tuned").data.splitlines()[2:]
    assert set(dashes) <= set("| –")


def test_trends(result: StudyResult, make_result: Any) -> None:
    (line,) = tables.trends_table(None, result).data.splitlines()[2:]
    cell = "-0.50 (-0.60 to -0.40), falls"
    assert line == (
        "| this run | patch, zero | transformer attribution | " + " | ".join([cell] * 4) + " |"
    )
    short = make_result({name: seeds for name, seeds in rows().items() if "trend" not in name})
    (dashes,) = tables.trends_table(None, short).data.splitlines()[2:]
    assert set(dashes) <= set("| –")


def test_rounding_is_not_told_from_conservation(result: StudyResult) -> None:
    line = tables.conservation_table(None, result).data.splitlines()[2]
    assert line == "| this run | dense | below 0.0001 | 15 (15 to 15) |"


def test_errors_out_of_range_are_a_dash(make_result: Any) -> None:
    run = make_result(spread("conservation_error", "inverse_gamma/dense", NAN, 1))
    assert tables.error_text(run, "inverse_gamma/dense") == "–"
    assert tables.error_text(run, "identity/dense") == "–"


def test_relevance_on_the_object_beside_its_area(
    result: StudyResult, other: StudyResult, natural: StudyResult
) -> None:
    lines = tables.on_object_table(None, result).data.splitlines()
    assert lines[2] == (
        "| this run | transformer attribution | " + " | ".join(["30 % (× 3.00)"] * 4) + " |"
    )
    assert lines[-1] == "| this run | the object's area | " + " | ".join(["10 %"] * 4) + " |"
    both = tables.on_object_table(other, result).data.splitlines()
    assert both[0].count("removed") == 4
    assert both[2].endswith("| – | – |")
    (dashes,) = tables.on_object_table(None, natural).data.splitlines()[2:]
    assert set(dashes) <= set("| –")


def test_verdicts_of_several_seeds_are_counted(result: StudyResult) -> None:
    row = replace(result.rows[0], per_seed=(-1.0, 0.0, -1.0))
    meanings = {"rises": 1.0, "no trend": 0.0, "falls": -1.0}
    assert tables.verdict_text(row, meanings) == "no trend 1, falls 2"
    assert tables.verdict_text(replace(row, per_seed=(1.0, 1.0)), meanings) == "rises"
    assert tables.verdict_text(None, meanings) == "–"


def test_a_picture_per_model(examples: list[ExampleMaps], result: StudyResult) -> None:
    first, second = maps.model_pictures(examples, result, "transformer")
    assert first.startswith(PNG_SIGNATURE)
    assert first != second
    alts = maps.alt_texts(examples, "transformer")
    assert len(set(alts)) == 2
    assert alts[1].endswith("70 % removed")


def test_a_picture_tells_what_the_model_says(
    examples: list[ExampleMaps], result: StudyResult
) -> None:
    figure = maps.model_picture(examples[1], result, "transformer")
    image, shaded, drawn, wrong, *_ = figure.axes
    assert figure.get_suptitle() == "70 % removed: 90 % (80 to 100) of images right"
    assert image.get_ylabel() == "says cube\nwith 75 %\nwhich is right"
    assert wrong.get_ylabel() == "says cube\nwith 50 %\nit is sphere"
    assert [line.get_label() for line in drawn.lines[:4]] == [
        "insertion, random", "deletion, random", "insertion", "deletion"
    ]  # fmt: skip
    assert list(drawn.lines[2].get_ydata()) == [0.0, 0.25, 0.75]
    assert list(drawn.lines[4].get_ydata()) == [0.75, 0.75]
    # Relevance -1, 1 over 0, -3: what is negative is drawn as none.
    heat = shaded.images[1].get_array()
    assert heat is not None
    assert heat.shape == (8, 8)
    assert float(heat.min()) == 0.0
    assert float(heat[0, 7]) == 1.0
    assert shaded.images[1].get_clim() == (0, 1)


def test_the_floor_itself_has_one_pair_of_curves(
    examples: list[ExampleMaps], result: StudyResult
) -> None:
    drawn = maps.model_picture(examples[0], result, "random").axes[2]
    labels = [str(line.get_label()) for line in drawn.lines[:4]]
    assert set(labels) == {"insertion", "deletion"}


def test_one_image_by_all_methods_but_the_floor(examples: list[ExampleMaps]) -> None:
    axes = maps.all_methods(examples).axes
    assert [one.get_title("left") for one in axes] == ["image", "transformer\nattribution", "", ""]
    assert [one.get_ylabel() for one in axes] == ["dense", "", "70 % removed", ""]


def test_a_map_without_relevance_is_drawn_dark(examples: list[ExampleMaps]) -> None:
    nothing = replace(examples[0], maps={"transformer": torch.zeros(2, 2, 2)})
    shaded = maps.all_methods([nothing]).axes[1].images[1]
    assert shaded.get_clim()[1] > 0
