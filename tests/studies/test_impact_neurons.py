import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from scipy.stats import spearmanr  # type: ignore[import-untyped]

from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.neurons.attribution_patching import attribution_patching
from seethrough.neurons.factor_information import FactorInformation
from seethrough.neurons.sites import AttentionHeads, MlpUnits
from seethrough.neurons.true_patching import true_patching
from seethrough.neurons.unit_activations import UnitActivations
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import impact_neurons as study
from seethrough.studies.impact_models import DENSE, Condition, material
from seethrough.studies.impact_neurons import Parameters
from seethrough.studies.neuron_rows import METRICS, SELECTIONS

NAN = math.nan
TINY = Parameters(
    sparsities=(0.7,), blocks=(5,), n_classes=2, images_per_class=2, n_units=5, n_mean_images=4,
    n_patched_units=2, n_calibration=4, n_recovery=4, recovery_epochs=1, batch_size=4,
    n_evaluation=24, precision="float32",
)  # fmt: skip
MLP, HEADS = MlpUnits(block=0), AttentionHeads(block=0)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return study.run(TINY, ArtifactStore(tmp_path_factory.mktemp("store")))


def test_a_study_has_every_metric_of_every_model(result: StudyResult) -> None:
    for model in ("dense", "dense_tuned", "wanda/0.7"):
        for metric in METRICS:
            for selection in SELECTIONS:
                low, mean, high = (
                    result.row(f"{metric}{end}/{selection}/5/{model}").mean
                    for end in ("_low", "", "_high")
                )
                if (metric, selection) == ("entropy", "all"):
                    assert math.isnan(low)
                    assert math.isnan(high)
                    assert 0 <= mean <= math.log(2) + 1e-12
                else:
                    assert low <= mean <= high
        # Two classes of two images each: what a unit detects in one it misses in the other.
        assert result.row(f"selectivity/all/5/{model}").mean == pytest.approx(0.5)
        assert -1 <= result.row(f"patching_rank_correlation/5/{model}").mean <= 1
        width, n_heads = 768, 6
        share = result.row(f"heads_among_all/5/{model}").mean
        assert share == pytest.approx(n_heads / (n_heads + width))


def test_every_factor_number_has_its_shuffled_control(result: StudyResult) -> None:
    ids = [row.id for row in result.rows]
    names = ["factor_best", "factor_gap", "one_factor_units"]
    for name in [*names, *(f"information_{factor}" for factor in FACTOR_NAMES)]:
        for reading in study.READINGS:
            assert 0 <= result.row(f"{name}/{reading}/5/wanda/0.7").mean <= 1
            control = result.row(f"{name}_shuffled/{reading}/5/wanda/0.7")
            assert control.quantity.endswith(", factors shuffled")
            assert "information" not in control.quantity.replace("information_", "")
    assert not [id for id in ids if "_trend" in id], "two models have no trend"


def test_tables_of_units_agree_with_the_rows(
    result: StudyResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = material(TINY)
    dense = [(Condition(method=DENSE), 0, source.classifier.model)]
    monkeypatch.setattr(study, "models", lambda *_: iter(dense))
    tables = study.factor_tables(replace(TINY, seeds=(0, 3)))
    known = tables[Condition(method=DENSE)]["class_token", 5]
    row = result.row("factor_gap/class_token/5/dense")
    assert float(known.gap.mean()) == pytest.approx(row.mean, abs=1e-6)


def test_heads_are_counted_over_classes() -> None:
    top = {MLP: torch.tensor([[True, False, False], [True, True, False]]),
           HEADS: torch.tensor([[True], [False]])}  # fmt: skip
    everything = {site: torch.ones_like(units) for site, units in top.items()}
    found = study.heads_among({"top": top, "all": everything}, [0])
    assert found == {"heads_among_top/0": 1 / 4, "heads_among_all/0": 2 / 8}
    nothing = {site: torch.zeros_like(units) for site, units in top.items()}
    assert math.isnan(study.heads_among({"top": nothing, "all": top}, [0])["heads_among_top/0"])


def test_selections_of_one_block() -> None:
    scores = {MLP: torch.tensor([[0.0, -3.0, 1.0], [5.0, 4.0, 3.0]]).double(),
              HEADS: torch.tensor([[-1.0], [2.0]]).double()}  # fmt: skip
    chosen = replace(TINY, blocks=(0,), n_units=2)
    found = study.selections(scores, chosen, 2, seed=0)
    assert found["top"][MLP].tolist() == [[False, True, False], [False, False, True]]
    assert found["top"][HEADS].tolist() == [[True], [True]]
    drawn = torch.cat(list(found["random"].values()), dim=1)
    assert drawn.sum(dim=1).tolist() == [2, 2]
    # More units wanted than there are: all of them.
    many = study.selections(scores, replace(chosen, n_units=50), 2, seed=0)
    assert all(bool(units.all()) for name in SELECTIONS for units in many[name].values())


def test_a_class_without_images_has_no_metric() -> None:
    values = torch.tensor([[1.0], [2.0], [4.0]])
    activations = {MLP: UnitActivations(class_token=values, patch_maximum=values)}
    every = {"all": {MLP: torch.ones(3, 1, dtype=torch.bool)}}
    found = study.unit_metrics(0, activations, torch.tensor([0, 0, 2]), every, 3)
    # Class 2 has the largest activation and class 0 the smallest ones; class 1 has no image.
    selectivity = found["selectivity", "all", 0]
    assert (selectivity[0], selectivity[2]) == (0, 1)
    assert selectivity.isnan().tolist() == [False, True, False]
    # One image has no spread: mean 1.5 and deviation sqrt(1/2) in class 0 alone.
    variance = found["variance", "all", 0]
    assert variance[0] == pytest.approx(math.sqrt(0.5) / 1.5)
    assert variance.isnan().tolist() == [False, True, True]
    shares = torch.tensor([1.5, 4.0]).double() / 5.5
    assert found["entropy", "all", 0][0] == pytest.approx(float(torch.special.entr(shares).sum()))
    assert found["entropy", "all", 0].isnan().tolist() == [False, True, False]


def test_the_check_of_patching_is_spearmans_over_classes_and_units(tiny_vit: Any) -> None:
    model = tiny_vit().double()
    images = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()
    batches = [(images, torch.tensor([0, 2, 2, 1, 0, 2]))]
    shape = MLP.shape(model)
    means = {MLP: torch.randn(shape, generator=torch.Generator().manual_seed(1)).double()}
    scores = attribution_patching(model, batches, means, 5)
    # With every unit in the sample its order does not matter; classes 3 and 4 have no image.
    chosen = replace(TINY, blocks=(0,), n_patched_units=shape[0])
    found = study.patching_check(model, batches, scores, means, chosen, 5, seed=0)
    measured = true_patching(model, batches, MLP, means[MLP], torch.arange(shape[0]), 5)
    expected = spearmanr(scores[MLP][:3].flatten(), measured[:3].flatten()).statistic
    assert found == {"patching_rank_correlation/0": pytest.approx(expected)}


def test_units_of_one_factor_worked_by_hand() -> None:
    shares = torch.tensor([[0.1, 0.05], [0.09, 0.0], [0.5, 0.3], [0.2, 0.8], [0.0, 0.0]]).double()
    found = study.of_one_factor(FactorInformation(normalised=shares))
    # A tenth of a factor and twice the other; too little; not twice; enough; nothing at all.
    assert found.tolist() == [True, False, False, True, False]


@pytest.mark.parametrize(
    ("n_all", "n_chosen", "expected"),
    [(10, 4, [0, 3, 6, 9]), (3, 5, [0, 1, 2]), (1000, 2, [0, 999]), (320, 4, [0, 106, 213, 319])],
)
def test_classes_are_spread_evenly(n_all: int, n_chosen: int, expected: list[int]) -> None:
    assert study.chosen_classes(n_all, n_chosen).tolist() == expected


@pytest.mark.parametrize("n_chosen", [2, 7, 319, 320])
def test_no_class_is_chosen_twice(n_chosen: int) -> None:
    assert len(study.chosen_classes(320, n_chosen).unique()) == n_chosen


def test_blocks_that_the_model_lacks_are_refused(tiny_vit: Any) -> None:
    model = tiny_vit()
    last = len(model.blocks) - 1
    study.check_blocks(model, (0, last))
    with pytest.raises(ValueError, match=f"blocks has {last + 1}, allowed is 0 to {last}"):
        study.check_blocks(model, (0, last + 1))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("blocks", (), "allowed is one or more from 0, each once"),
        ("blocks", (1, 1), "allowed is one or more from 0, each once"),
        ("blocks", (-1,), "allowed is one or more from 0, each once"),
        ("n_classes", 1, "n_classes is 1, allowed is at least 2"),
        ("images_per_class", 1, "images_per_class is 1, allowed is at least 2"),
        ("n_units", 0, "n_units is 0, allowed is at least 1"),
        ("n_mean_images", 0, "n_mean_images is 0, allowed is at least 1"),
        ("n_patched_units", 1, "n_patched_units is 1, allowed is at least 2"),
        ("sparsities", (1.0,), "allowed is above 0 and below 1"),
    ],
)
def test_bad_parameters_are_refused(name: str, value: Any, words: str) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=words):
        replace(TINY, **changes)
