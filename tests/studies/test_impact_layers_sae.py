"""The study of autoencoders: a tiny run against its parts, and its parameters."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from seethrough.results import StudyResult
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.monosemanticity import monosemanticity
from seethrough.sae.topk import TopK
from seethrough.store import ArtifactStore
from seethrough.studies import impact_layers_sae as study
from seethrough.studies.impact_models import DENSE, Condition, material
from seethrough.studies.latent_gallery import latent_gallery
from seethrough.studies.layers_sae_parameters import METHODS, Parameters
from seethrough.studies.read_again import ReadAgain
from seethrough.studies.sae_rows import COMPARISONS, METRICS
from seethrough.studies.sae_scores import SELECTIONS

TINY = Parameters(
    sparsities=(0.7,), n_calibration=4, n_recovery=4, recovery_epochs=1, batch_size=8,
    precision="float32", n_evaluation=24, expansion=1, k=8, ks=(4, 8), methods=METHODS,
    patches=True, n_pool=16, steps=3, priced_steps=4, sae_batch_size=16, n_classes=2,
    images_per_class=3, n_latents=5, n_highest=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return study.run(TINY, store)


def test_every_model_has_every_comparison(result: StudyResult) -> None:
    for model in ("dense", "dense_tuned", "wanda/0.7"):
        for place in ("k4", "k8", *COMPARISONS):
            l0 = result.row(f"l0/{place}/{model}").mean
            assert 0 <= l0 <= 128
            assert result.row(f"nmse/{place}/{model}").mean >= 0
            for metric in METRICS:
                for selection in SELECTIONS:
                    assert result.row(f"{metric}/{selection}/{place}/{model}").n == 1
        fixed, same = (result.row(f"active/{place}/{model}") for place in ("fixed_k", "k8"))
        assert fixed.per_seed == same.per_seed


def test_other_methods_and_patches_are_the_released_models_alone(result: StudyResult) -> None:
    ids = {row.id for row in result.rows}
    for place in (*METHODS, "patches"):
        assert math.isfinite(result.row(f"fve/{place}/dense").mean)
        assert f"fve/{place}/dense_tuned" not in ids
    assert "selectivity/top/topk/dense" in ids
    assert "selectivity/top/patches/dense" not in ids
    assert result.provenance.seconds > 0


def test_what_is_judged_is_read_from_the_model(store: ArtifactStore) -> None:
    model = material(TINY).classifier.model
    on = study.evaluation_of(model, TINY)
    assert (on.site.block, on.site.tokens) == (5, "class")
    assert on.inputs.shape == (24, 128)
    assert on.class_inputs.shape == (6, 128)
    assert on.class_labels.tolist() == [0, 0, 0, 319, 319, 319]
    assert on.factors is not None
    assert on.factors.shape == (24, 6)
    with torch.no_grad():
        images, _ = next(iter(on.class_images))
        head = model.forward_head(model.norm(on.class_inputs[:6, None]))  # type: ignore[operator]
        assert torch.allclose(head, model(images), atol=1e-4)
    # The last block's stream is not the one before it.
    earlier = study.evaluation_of(model, replace(TINY, block=4))
    assert not torch.allclose(earlier.inputs, on.inputs)
    with pytest.raises(ValueError, match="block is 6, allowed is -1 to 5"):
        study.site_of(model, 6)


def test_images_are_as_alike_as_their_factors() -> None:
    factors = torch.tensor([[0, 1, 2, 3, 1, 5], [0, 1, 2, 7, 3, 6]])
    embeddings = study.factor_embeddings(factors)
    both = torch.tensor([[1.0], [1.0], [0.0]])
    # Three of six factors agree; the third image, which is silent, has no part.
    third = study.factor_embeddings(factors[:1])
    assert float(monosemanticity(both, torch.cat([embeddings, third]))) == pytest.approx(0.5)


def test_pictures_stand_in_where_factors_are_not_known() -> None:
    source = material(TINY)
    images = ReadAgain(source.evaluation, source.heldout[:5], 2, "cpu")
    embeddings = study.pixel_embeddings(images)
    assert embeddings.shape == (5, 3 * 16 * 16)
    assert torch.allclose(embeddings.sum(0), torch.zeros(768), atol=1e-4)
    first = source.evaluation.images(source.heldout[:5])[:, :, :4, :4].mean((2, 3))
    corner = embeddings.view(5, 3, 16, 16)[:, :, 0, 0]
    assert torch.allclose(corner, first - first.mean(0), atol=1e-5)


def test_methods_ask_for_k_if_they_can() -> None:
    found = [TINY.method(name, 7) for name in ("batch_topk", *METHODS)]
    # Three steps are fewer than the mean of the threshold asks for.
    assert found == [BatchTopK(k=7, threshold_decay=0.0), TopK(k=7), L1(coefficient=0.02),
                     JumpReLU(k=7)]  # fmt: skip
    assert replace(TINY, steps=400).method("batch_topk", 7) == BatchTopK(k=7, threshold_decay=0.95)


def test_methods_that_price_activity_have_steps_of_their_own() -> None:
    steps = {
        name: TINY.training(TINY.method(name, 7), seed=0).steps for name in ("batch_topk", *METHODS)
    }
    assert steps == {"batch_topk": 3, "topk": 3, "l1": 4, "jump_relu": 4}


def test_a_gallery_shows_the_highest_images(store: ArtifactStore, result: StudyResult) -> None:
    galleries = latent_gallery(TINY, n_pictures=3, store=store)
    assert [one.condition.name for one in galleries] == ["dense", "dense_tuned", "wanda/0.7"]
    for one in galleries:
        frequent = result.row(f"frequent/fixed_k/{one.condition.name}").mean
        assert one.n_frequent == frequent
        assert bool(one.latents) == (frequent > 0)
        for latent in one.latents:
            assert 1 <= len(latent.pictures) <= 3
            assert 0 <= float(latent.pictures.min()) <= float(latent.pictures.max()) <= 1
            assert "one class" in latent.words if latent.at_random else "best for" in latent.words
    with pytest.raises(ValueError, match="n_pictures is 0, allowed is at least 1"):
        latent_gallery(TINY, n_pictures=0, store=store)


def test_the_dense_model_does_not_depend_on_the_seed() -> None:
    first, second = (TINY.config(Condition(method=DENSE), seed) for seed in (0, 1))
    assert replace(second, seed=0) == first


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("block", -2, "allowed is -1 or one from 0"),
        ("ks", (4, 4, 8), "allowed are distinct ones with k, 8"),
        ("ks", (4,), "allowed are distinct ones with k, 8"),
        ("ks", (0, 8), "allowed"),
        ("methods", ("topk", "topk"), "methods has 'topk', allowed are topk, l1, jump_relu, once"),
        ("methods", ("batch_topk",), "methods has 'batch_topk'"),
        ("n_pool", 0, "n_pool is 0, allowed is at least 1"),
        ("n_classes", 1, "n_classes is 1, allowed is at least 2"),
        ("images_per_class", 1, "allowed is at least 2"),
        ("n_latents", 0, "n_latents is 0"),
        ("n_highest", 0, "n_highest is 0"),
        ("expansion", 0, "expansion is 0"),
        ("steps", 0, "steps is 0"),
        ("priced_steps", 0, "priced_steps is 0"),
        ("sae_batch_size", 0, "allowed is at least 1"),
        ("sae_rate", 0.0, "allowed"),
        ("l1_coefficient", -1.0, "coefficient is -1.0"),
        ("sparsities", (1.0,), "allowed is above 0 and below 1"),
    ],
)
def test_bad_parameters_are_refused(name: str, value: Any, words: str) -> None:
    changes: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=words):
        replace(TINY, **changes)
