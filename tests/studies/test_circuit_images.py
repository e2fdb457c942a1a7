import pytest
import torch

from seethrough.data.shapes3d_classes import Shapes3DClasses
from seethrough.data.shapes3d_factors import FACTOR_NAMES
from seethrough.studies.circuit_images import (
    SEEN,
    UNSEEN,
    UNSEEN_HUES,
    has_unseen_hues,
    heldout_examples,
    learned_examples,
    task_named,
    with_shuffled_labels,
)
from seethrough.studies.circuit_parameters import Parameters
from seethrough.studies.impact_models import Material, material

NAMES = ("cube, size 1, hue 0", "cube, size 1, hue 1", "sphere, size 1, hue 0", "n01440764")


@pytest.fixture(scope="module")
def source() -> Material:
    return material(Parameters())


def test_tasks_are_classes_or_what_classes_share() -> None:
    assert task_named("cube", NAMES).classes == (0, 1)
    assert task_named("hue 0", NAMES).classes == (0, 2)
    assert task_named("n01440764", NAMES).classes == (3,)
    assert task_named("cube, size 1, hue 1", NAMES).classes == (1,)
    with pytest.raises(ValueError, match="task 'cubes' is unknown"):
        task_named("cubes", NAMES)


def test_every_shape_size_and_hue_of_the_rendered_images_is_a_task(source: Material) -> None:
    names = source.training.class_names
    sizes = [len(task_named(name, names).classes) for name in ("sphere", "size 8", "hue 9")]
    assert sizes == [80, 40, 32]


def test_examples_are_balanced_repeatable_and_apart(source: Material) -> None:
    task = task_named("hue 0", source.training.class_names)
    learned, judged = (draw(source, task, 5, 0) for draw in (learned_examples, heldout_examples))
    for examples in (learned, judged):
        hues = [
            {name.split(", ")[2] for name in _classes(source, rows)}
            for rows in (examples.pairs.positives, examples.pairs.negatives)
        ]
        assert hues[0] == {"hue 0"}
        assert "hue 0" not in hues[1]
    again = learned_examples(source, task, 5, 0)
    assert torch.equal(again.pairs.positives, learned.pairs.positives)
    other = learned_examples(source, task, 5, 1)
    assert not torch.equal(other.pairs.positives, learned.pairs.positives)
    assert not set(source.heldout.tolist()) & set(learned.pairs.positives.tolist())
    rows = judged.pairs.negatives[:2]
    assert torch.equal(judged.images.images(rows), source.evaluation.images(rows))


def _classes(source: Material, rows: torch.Tensor) -> list[str]:
    return [source.training.class_names[label] for label in source.training.labels[rows]]


@pytest.mark.parametrize("draw", [learned_examples, heldout_examples])
def test_hues_are_kept_apart(source: Material, draw) -> None:  # type: ignore[no-untyped-def]
    task = task_named("sphere", source.training.class_names)
    images = source.training
    assert isinstance(images, Shapes3DClasses)
    for hues, allowed in ((SEEN, False), (UNSEEN, True)):
        pairs = draw(source, task, 4, 0, hues).pairs
        factors = images.factor_classes(torch.cat([pairs.positives, pairs.negatives]))
        for part in ("object_hue", "wall_hue"):
            found = factors[:, FACTOR_NAMES.index(part)].tolist()
            assert all((hue in UNSEEN_HUES) is allowed for hue in found)


def test_only_shapes_have_unseen_hues(source: Material) -> None:
    names = source.training.class_names
    assert has_unseen_hues(source, task_named("sphere", names))
    assert not has_unseen_hues(source, task_named("hue 2", names))


def test_shuffled_labels_keep_the_images(source: Material) -> None:
    task = task_named("sphere", source.training.class_names)
    learned = learned_examples(source, task, 8, 0)
    dealt = with_shuffled_labels(learned, 0)
    assert dealt.images is learned.images
    before, after = (
        sorted(torch.cat([e.pairs.positives, e.pairs.negatives]).tolist()) for e in (learned, dealt)
    )
    assert before == after
    assert set(dealt.pairs.positives.tolist()) != set(learned.pairs.positives.tolist())
