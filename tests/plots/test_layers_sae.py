"""Figures of autoencoders: what is drawn of a run whose numbers are known."""

from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from seethrough.plots import layers_sae
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult
from seethrough.studies.sae_rows import COMPARISONS, METRICS

LEVELS = {"dense": 5.0, "dense_tuned": 1.0, "wanda/0.5": 2.0, "wanda/0.7": 3.0}
SHIFTS = {"fixed_k": 0.0, "equal_l0": 10.0, "equal_fve": 20.0}


def run(factors: bool = True, n_seeds: int = 1, **parameters: object) -> StudyResult:
    """A run whose numbers are its models' levels, higher by ten from one comparison to the next."""
    rows: list[Row] = []
    for name, level in LEVELS.items():
        method, _, sparsity = name.partition("/")
        cell = {"model": method, "sparsity": float(sparsity or 0), "structure": "unstructured"}
        values: dict[tuple[str, str], float] = {}
        for place, shift in SHIFTS.items():
            for metric in METRICS:
                for selection in ("top", "random"):
                    for end, by in (("", 0.0), ("_low", -0.5), ("_high", 0.5)):
                        id = f"{metric}{end}/{selection}/{place}/{name}"
                        values[id, place] = level + shift + by
            values[f"active/{place}/{name}", place] = level + shift
            if factors:
                for quantity in layers_sae.FACTOR_NAMES:
                    values[f"{quantity}/{place}/{name}", place] = level + shift
                    values[f"{quantity}_shuffled/{place}/{name}", place] = 0.5
        for k in (11, 5):
            values |= {
                (f"fve/k{k}/{name}", f"k{k}"): k / 100, (f"l0/k{k}/{name}", f"k{k}"): k + level,
                (f"active/k{k}/{name}", f"k{k}"): 10.0 * k,
            }  # fmt: skip
        rows += [
            Row(id, "", cell | {"place": place}, "1", tuple(value + s for s in range(n_seeds)))
            for (id, place), value in values.items()
        ]
    chosen = {"model": "tiny", "expansion": 32, "n_evaluation": 64, "n_classes": 4, **parameters}
    provenance = Provenance(
        parameters=chosen, seeds=tuple(range(n_seeds)), profile="custom", device="cpu", threads=1,
        versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("impact_layers_sae", tuple(rows), (), provenance)


def lines(figure: Figure, panel: int, label: str) -> list[tuple[list[float], list[float]]]:
    """Points of every line with this label in one panel."""
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in figure.axes[panel].lines
        if line.get_label() == label
    ]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_reconstruction_over_the_sweep() -> None:
    assert layers_sae.ks_of(run()) == [5, 11]
    figure = layers_sae.reconstruction({"a": run()})
    assert lines(figure, 0, "50 % removed") == [([7.0, 13.0], [0.05, 0.11])]
    assert lines(figure, 1, "dense, as released") == [([5.0, 11.0], [10.0, 16.0])]
    assert lines(figure, 2, "70 % removed") == [([5.0, 11.0], [50.0, 110.0])]
    assert "L0 = k" in words(figure)


def test_metrics_in_three_comparisons() -> None:
    figure = layers_sae.metrics_by_sparsity({"reference run": run(), "this run": run()})
    assert len(figure.axes) == len(METRICS) * len(COMPARISONS)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == list(
        layers_sae.COMPARISON_NAMES.values()
    )
    for panel, shift in enumerate(SHIFTS.values()):
        points = ([0.0, 0.5, 0.7], [1.0 + shift, 2.0 + shift, 3.0 + shift])
        for label in ("top latents", "as many at random", "top latents, this run"):
            assert lines(figure, panel, label) == [points]
        diamond = ([0.0], [5.0 + shift])
        assert diamond in [
            (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
            for line in figure.axes[panel].lines
        ]
    assert "dense, as released" in words(figure)


def test_a_run_with_other_classes_is_not_drawn_beside() -> None:
    other = run(n_classes=20)
    figure = layers_sae.metrics_by_sparsity({"reference run": run(), "this run": other})
    assert not lines(figure, 0, "top latents, this run")


@pytest.mark.parametrize(("n_evaluation", "drawn"), [(64, 1), (65, 0)])
def test_active_latents_of_runs_that_count_alike(n_evaluation: int, drawn: int) -> None:
    runs = {"reference run": run(n_seeds=2), "this run": run(n_evaluation=n_evaluation)}
    figure = layers_sae.active_latents(runs)
    # Seeds are one apart, so the mean is half above the first.
    assert lines(figure, 0, "mean over seeds") == [([0.0, 0.5, 0.7], [1.5, 2.5, 3.5])]
    assert len(lines(figure, 0, "each seed")) == 2
    assert len(lines(figure, 0, "this run")) == drawn
    alone = layers_sae.active_latents({"this run": run()})
    assert not lines(alone, 0, "each seed")


def test_factors_with_their_control() -> None:
    figure = layers_sae.factors_by_sparsity({"a": run()})
    assert len(figure.axes) == 9
    assert lines(figure, 0, "frequent latents") == [([0.0, 0.5, 0.7], [1.0, 2.0, 3.0])]
    assert lines(figure, 8, "factors shuffled") == [([0.0, 0.5, 0.7], [0.5, 0.5, 0.5])]


def test_unknown_factors_are_a_sentence() -> None:
    figure = layers_sae.factors_by_sparsity({"a": run(factors=False)})
    assert figure.axes[0].texts[0].get_text() == "The factors of these images are not known."


def test_the_sweep_is_of_k_alone() -> None:
    """Other methods have places too, and l1 ends in a digit."""
    some = run()
    others = tuple(
        Row(f"fve/{place}/dense", "", {"place": place}, "1", (0.5,)) for place in ("l1", "patches")
    )
    assert layers_sae.ks_of(replace(some, rows=(*some.rows, *others))) == [5, 11]
