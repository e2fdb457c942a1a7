"""Single images as each model sees them."""

import pytest
import torch

from seethrough.data.preprocessing import Preprocessing
from seethrough.store import ArtifactStore
from seethrough.studies import impact_attribution as study
from seethrough.studies.attribution_examples import ExampleMaps, as_seen, example_maps
from seethrough.studies.impact_models import material

TINY = study.Parameters(
    sparsities=(0.7,), n_calibration=4, n_recovery=8, recovery_epochs=1, batch_size=8,
    n_evaluation=6, methods=("rollout", "random"), n_images=2, n_steps=3,
)  # fmt: skip


@pytest.fixture(scope="module")
def examples(store: ArtifactStore) -> list[ExampleMaps]:
    return example_maps(TINY, n_pictures=3, store=store)


def test_one_of_each_model_with_the_images_of_the_study(examples):
    names = [one.condition.name for one in examples]
    assert names == ["dense", "dense_tuned", "wanda/0.7"]
    source = material(TINY)
    for one in examples:
        assert one.pictures.shape == (2, 3, 64, 64)  # no more than n_images
        assert list(one.maps) == ["rollout", "random"]
        assert {tuple(found.shape) for found in one.maps.values()} == {(2, 8, 8)}
        labels = source.evaluation.labels[source.heldout[:2]].tolist()
        assert list(one.truths) == [source.evaluation.class_names[label] for label in labels]


def test_curves_begin_and_end_at_the_probability_of_the_prediction(examples):
    source = material(TINY)
    images = source.evaluation.images(source.heldout[:2])
    with torch.no_grad():
        best = source.classifier.model(images).softmax(dim=1).max(dim=1)
    dense = examples[0]
    for curves in dense.curves.values():
        assert torch.allclose(curves.insertion[:, -1], best.values, atol=1e-6)
        assert torch.allclose(curves.deletion[:, 0], best.values, atol=1e-6)
    names = [source.evaluation.class_names[label] for label in best.indices.tolist()]
    assert list(dense.predictions) == names


def test_all_models_have_the_same_random_order(examples):
    first, *others = [one.maps["random"] for one in examples]
    assert all(torch.equal(first, other) for other in others)


def test_normalisation_is_undone_channel_by_channel():
    # input = (pixel - mean) / std
    inputs = torch.tensor([1.0, -2.0, 9.0])[None, :, None, None]
    scaling = Preprocessing(size=1, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.1))
    assert as_seen(inputs, scaling).flatten().tolist() == [0.75, 0.0, 1.0]


def test_no_pictures_are_refused(store):
    with pytest.raises(ValueError, match="n_pictures is 0, allowed is at least 1"):
        example_maps(TINY, n_pictures=0, store=store)
