"""The study of attribution: rows worked by hand, and a tiny run against its parts."""

import math
import re
from dataclasses import replace

import pytest
import torch

from seethrough.attribution.insertion_deletion import insertion_deletion
from seethrough.attribution.transformer_attribution import transformer_attribution
from seethrough.models.accuracy import wilson_interval
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import impact_attribution as study
from seethrough.studies.impact_attribution import Measured, Parameters
from seethrough.studies.impact_models import Condition, material

PLACE = ("insertion", "transformer", "patch", "zero")
DENSE = Condition(method="dense")
TUNED = Condition(method="dense_tuned", recovered=True)


def pruned(sparsity: float) -> Condition:
    return Condition(method="wanda", sparsity=sparsity, recovered=True)


def measured(condition: Condition, areas: list[float], **others: list[float]) -> Measured:
    """One model's insertion areas, and values that belong to no method."""
    per_image = {PLACE: torch.tensor(areas, dtype=torch.float64)}
    for name, values in others.items():
        per_image[name, ""] = torch.tensor(values, dtype=torch.float64)
    curves = {
        PLACE: torch.tensor([0.0, areas[0], 1.0]),
        ("deletion", "transformer", "pixel", "zero"): torch.tensor([1.0, areas[0], 0.0]),
    }
    fractions = {"patch": torch.tensor([0.0, 0.48, 1.0]), "pixel": torch.tensor([0.0, 0.5, 1.0])}
    return Measured(condition, per_image, curves, fractions, wilson_interval(8, 10))


TINY = Parameters(
    sparsities=(0.7,), n_calibration=4, n_recovery=8, recovery_epochs=1, batch_size=8,
    n_evaluation=6, methods=("transformer", "random"), units=("pixel", "patch"),
    n_images=2, n_steps=3, n_gradient_steps=2, photographs=("coffee",),
)  # fmt: skip


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return study.run(TINY, store)


def test_a_mean_and_the_ends_of_its_interval():
    # Two images at 0.2 and 0.6: resampled means are 0.2, 0.4, 0.6 with 1/4, 1/2, 1/4, so the 95 %
    # interval reaches from 0.2 to 0.6.
    rows = study.rows_of([measured(DENSE, [0.2, 0.6], clean_probability=[0.5, 0.5])], seed=0)
    name = "insertion{}/transformer/patch/zero/dense"
    assert rows[name.format("")][3] == pytest.approx(0.4)
    assert rows[name.format("_low")][3] == pytest.approx(0.2)
    assert rows[name.format("_high")][3] == pytest.approx(0.6)
    quantity, cell, unit, _ = rows[name.format("")]
    assert quantity == "area under insertion, transformer attribution"
    assert unit == "fraction"
    assert cell == {
        "model": "dense", "sparsity": 0.0, "structure": "unstructured",
        "method": "transformer", "unit": "patch", "reference": "zero",
    }  # fmt: skip
    assert rows["clean_probability/dense"][3] == 0.5
    assert not any("change" in row or "trend" in row for row in rows)


def test_accuracy_has_wilsons_interval():
    rows = study.rows_of([measured(DENSE, [0.5, 0.5])], seed=0)
    # 8 of 10: centre (0.8 + z^2 / 20) / (1 + z^2 / 10) with z^2 = 3.8415
    centre, half = 0.99207 / 1.38415, 1.96 * math.sqrt(0.016 + 3.8415 / 400) / 1.38415
    assert rows["accuracy/dense"][3] == 0.8
    assert rows["accuracy_low/dense"][3] == pytest.approx(centre - half, abs=1e-4)
    assert rows["accuracy_high/dense"][3] == pytest.approx(centre + half, abs=1e-4)


def test_one_image_has_no_interval_and_no_verdict():
    rows = study.rows_of([measured(DENSE, [0.2]), measured(TUNED, [0.9])], seed=0)
    assert math.isnan(rows["insertion_low/transformer/patch/zero/dense"][3])
    change = "insertion{}/transformer/patch/zero/dense_tuned/dense"
    assert rows[change.format("_change")][3] == pytest.approx(0.7)
    assert rows[change.format("_equivalent")][3] == 0.0


def test_changes_are_paired_by_image():
    # Images differ by 0.4, the change is the same in both: its interval has no width.
    models = [
        measured(DENSE, [0.2, 0.6]), measured(TUNED, [0.21, 0.61]),
        measured(pruned(0.7), [0.3, 0.7]), measured(pruned(0.9), [0.21, 0.71]),
    ]  # fmt: skip
    rows = study.rows_of(models, seed=0)

    def change(model: str, against: str) -> list[float]:
        ends = ("change", "change_low", "change_high", "equivalent")
        names = [f"insertion_{e}/transformer/patch/zero/{model}/{against}" for e in ends]
        return [rows[name][3] for name in names]

    assert change("dense_tuned", "dense") == pytest.approx([0.01, 0.01, 0.01, 1])
    assert change("wanda/0.7", "dense") == pytest.approx([0.1, 0.1, 0.1, -1])
    assert change("wanda/0.7", "dense_tuned") == pytest.approx([0.09, 0.09, 0.09, -1])
    # 0.0 and 0.1: mean 0.05, and every end has more than 5 % of the resampled means
    assert change("wanda/0.9", "dense_tuned") == pytest.approx([0.05, 0.0, 0.1, 0])
    against = [name.split("/")[4:] for name in rows if name.startswith("insertion_change/")]
    assert against == [
        ["dense_tuned", "dense"], ["wanda", "0.7", "dense"], ["wanda", "0.7", "dense_tuned"],
        ["wanda", "0.9", "dense"], ["wanda", "0.9", "dense_tuned"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("areas", "rank", "verdict"),
    [
        ([[0.1, 0.5], [0.2, 0.6], [0.4, 0.9]], 1.0, 1.0),
        ([[0.4, 0.9], [0.2, 0.6], [0.1, 0.5]], -1.0, -1.0),
        ([[0.1, 0.5], [0.2, 0.4], [0.3, 0.3]], 0.0, 0.0),  # one image rises, one falls
        ([[0.3, 0.3], [0.3, 0.3], [0.3, 0.3]], 0.0, 0.0),
    ],
)
def test_trends_are_over_the_models_trained_alike(areas, rank, verdict):
    # The dense model as it is would turn every one of them.
    alike = [TUNED, pruned(0.3), pruned(0.7)]
    models = [measured(DENSE, [9.0, -9.0])]
    models += [measured(condition, area) for condition, area in zip(alike, areas, strict=True)]
    rows = study.rows_of(models, seed=0)
    assert rows["insertion_trend/transformer/patch/zero"][3] == pytest.approx(rank)
    assert rows["insertion_trend_verdict/transformer/patch/zero"][3] == verdict


def test_two_levels_are_no_trend():
    models = [measured(c, [0.1, 0.2]) for c in (DENSE, TUNED, pruned(0.7))]
    assert not any("trend" in row for row in study.rows_of(models, seed=0))


def test_curves_stand_at_the_shares_of_their_own_unit():
    by_seed = [[measured(DENSE, [area, 0.0])] for area in (0.25, 0.75)]
    patches, pixels = study.curves_of(by_seed)
    assert patches.id == "insertion/transformer/patch/zero/dense"
    assert patches.per_seed == ((0.0, 0.25, 1.0), (0.0, 0.75, 1.0))
    assert patches.x == pytest.approx((0.0, 0.48, 1.0))
    assert pixels.id == "deletion/transformer/pixel/zero/dense"
    assert pixels.x == (0.0, 0.5, 1.0)


def test_losses_and_gains_of_relevance_do_not_cancel():
    errors = torch.tensor([[0.0, 0.0], [-0.5, 0.5], [4.0, -1.0]])
    assert study.lost_or_made(errors).tolist() == [0.0, 1.0, 5.0]
    beyond = torch.tensor([[float("inf"), 1.0], [float("nan"), 1.0], [float("-inf"), 1.0]])
    assert bool(study.lost_or_made(beyond).isnan().all())


def test_a_tiny_run_has_all_its_rows(result):
    ids = {row.id for row in result.rows}
    for model in ("dense", "dense_tuned", "wanda/0.7"):
        assert {f"accuracy/{model}", f"object_area/{model}", f"lift_on_object/random/{model}",
                f"conservation_error/identity/{model}",
                f"conservation_error/inverse_gamma/{model}",
                f"deletion_normalised_high/random/pixel/zero/{model}"} <= ids  # fmt: skip
    curves = [one for one in result.series if not one.id.startswith("photograph")]
    assert len(curves) == 3 * 2 * 2 * 2  # models, methods, units, kinds
    assert {row.n for row in result.rows} == {1}


def test_a_dense_row_is_what_its_parts_give(result):
    source = material(TINY)
    images = source.evaluation.images(source.heldout[:2])
    model = source.classifier.model
    targets = model(images).detach().argmax(dim=1)
    maps = transformer_attribution(model, images, targets)
    found = insertion_deletion(model, images, maps, targets, steps=3)
    area = result.row("insertion/transformer/patch/zero/dense").mean
    assert area == pytest.approx(float(found.insertion_auc.mean()), abs=1e-6)
    clean = result.row("clean_probability/dense").mean
    assert clean == pytest.approx(float(found.clean_probability.mean()), abs=1e-6)
    # 64 patches in 3 steps: 21, 42, 64; 4096 pixels: 1365, 2730, 4096
    patches = result.one_series("insertion/transformer/patch/zero/dense")
    pixels = result.one_series("insertion/transformer/pixel/zero/dense")
    assert patches.x == pytest.approx((0, 21 / 64, 42 / 64, 1))
    assert pixels.x == pytest.approx((0, 1365 / 4096, 2730 / 4096, 1))
    assert patches.mean[-1] == pytest.approx(clean, abs=1e-6)


def test_the_floor_is_the_same_order_for_every_model(result):
    shares = {result.row(f"share_on_object/random/{model}").mean
              for model in ("dense", "dense_tuned", "wanda/0.7")}  # fmt: skip
    assert len(shares) == 1
    areas = result.row("object_area/dense").mean
    assert 0 < areas < 1


def test_handing_relevance_through_conserves_it_and_dividing_does_not(result):
    for model in ("dense", "wanda/0.7"):
        assert result.row(f"conservation_error/identity/{model}").mean < 1e-4
        assert result.row(f"conservation_error/inverse_gamma/{model}").mean > 0.1


def test_pixel_maps_are_summed_to_patches():
    source = material(TINY)
    images = source.evaluation.images(source.heldout[:3])
    targets = torch.tensor([0, 1, 2])
    wide = replace(TINY, batch_size=8)
    narrow = replace(TINY, batch_size=2)
    for method in ("gradient_times_input", "integrated_gradients", "rollout", "raw_attention"):
        maps = study.maps_of(method, source.classifier.model, images, targets, wide, 0)
        assert maps.shape == (3, 8, 8)
        parts = study.maps_of(method, source.classifier.model, images, targets, narrow, 0)
        assert torch.allclose(maps, parts, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ()}, "methods is ()"),
        ({"methods": ("transformer", "lime")}, "methods is ('transformer', 'lime'), allowed are"),
        ({"methods": ("random", "random")}, "each once"),
        ({"units": ("word",)}, "units is ('word',), allowed are patch, pixel"),
        ({"references": ("noise",)}, "references is ('noise',), allowed are zero, blur"),
        ({"n_images": 0}, "n_images is 0, allowed is at least 1"),
        ({"n_images": 7}, "n_images is 7, allowed is at most 6, n_evaluation"),
        ({"n_steps": 0}, "n_steps is 0"),
        ({"n_gradient_steps": 0}, "n_gradient_steps is 0"),
        ({"photographs": ("lena",)}, "photographs is ('lena',), allowed are chelsea"),
        ({"photographs": ("coffee", "coffee")}, "each once"),
        ({"start_block": -1}, "start_block is -1, allowed is at least 0"),
        ({"sparsities": (1.0,)}, "sparsities has 1.0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        replace(TINY, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_steps": 65}, "n_steps is 65, allowed is at most 64, the patches of shapes3d_vit"),
        ({"start_block": 6}, "start_block is 6, allowed is 0 to 5, the last block"),
    ],
)
def test_what_the_model_lacks_is_refused_before_any_training(wrong, message, tmp_path):
    store = ArtifactStore(tmp_path)
    with pytest.raises(ValueError, match=message):
        study.run(replace(TINY, **wrong), store)
    assert not list(tmp_path.rglob("*.safetensors"))


def test_more_steps_than_patches_are_fine_by_pixel():
    by_pixel = replace(TINY, units=("pixel",), n_steps=65)
    study._require_fitting(by_pixel, material(by_pixel).classifier.model)


def test_photographs_have_an_answer_and_a_map_from_every_model(result):
    for model in ("dense", "dense_tuned", "wanda/0.7"):
        row = result.row(f"photograph_probability/coffee/{model}")
        assert 1 / 320 <= row.mean <= 1
        assert row.cell["predicted"] in material(TINY).evaluation.class_names
        curve = result.one_series(f"photograph_map/transformer/coffee/{model}")
        assert len(curve.x) == 64
        assert max(curve.mean) == 1
        assert min(curve.mean) >= 0
