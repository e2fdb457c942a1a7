"""3D Shapes as a classification task: classes by hand, noise, and the split."""

import pytest
import torch

from seethrough.data.shapes3d_classes import NOISE, Shapes3DClasses, class_of, n_classes, split
from seethrough.data.shapes3d_objects import object_masks

SOME = torch.tensor([0, 479_999, 1234, 250_000])


@pytest.fixture(scope="module")
def task() -> Shapes3DClasses:
    return Shapes3DClasses()


@pytest.mark.parametrize(
    ("factors", "label"),
    [
        ([0, 0, 0, 0, 0, 0], 0),
        ([9, 9, 0, 0, 0, 14], 0),  # floor, wall and orientation tell nothing
        ([0, 0, 9, 0, 0, 0], 9),  # hue changes fastest
        ([0, 0, 0, 1, 0, 0], 10),  # ten hues to a size
        ([0, 0, 0, 0, 1, 0], 80),  # eighty to a shape
        ([0, 0, 4, 6, 2, 0], 2 * 80 + 6 * 10 + 4),
        ([3, 1, 9, 7, 3, 5], 319),
    ],
)
def test_classes_by_hand(factors, label):
    assert class_of(torch.tensor([factors])).tolist() == [label]


def test_no_images_no_classes():
    assert class_of(torch.empty(0, 6, dtype=torch.long)).shape == (0,)


def test_every_class_has_a_name_and_as_many_images(task):
    assert n_classes() == 320
    assert len(set(task.class_names)) == 320
    assert task.class_names[0] == "cube, size 1, hue 0"
    assert task.class_names[224] == "sphere, size 7, hue 4"
    assert task.class_names[-1] == "capsule, size 8, hue 9"
    counts = torch.bincount(task.labels, minlength=320)
    # 480,000 images over 320 classes: floor x wall x orientation = 10 x 10 x 15 of each
    assert counts.tolist() == [1500] * 320
    assert len(task) == 480_000


def test_the_label_is_that_of_the_images_factors(task):
    factors = task.factor_classes(SOME)
    assert task.labels[SOME].tolist() == class_of(factors).tolist()
    assert torch.equal(task.object_masks(SOME), object_masks(factors))


def test_noise_belongs_to_the_image_and_not_to_the_batch(task):
    together = task.images(SOME)
    assert together.shape == (4, 3, 64, 64)
    assert together.dtype == torch.float32
    for place, index in enumerate(SOME):
        assert torch.equal(task.images(index[None])[0], together[place])
    assert torch.equal(task.images(SOME.flip(0)), together.flip(0))
    noise = together - task.clean_images(SOME)
    assert not torch.allclose(noise[0], noise[1])


def test_the_noise_has_its_size_and_no_mean(task):
    noise = task.images(SOME) - task.clean_images(SOME)
    # Pixels span 2, so 0.1 of their range is 0.2. 49,152 draws: four standard errors of the
    # deviation are 0.2 * 4 / sqrt(2 * 49152) = 0.0026, of the mean 0.2 * 4 / 222 = 0.0036.
    assert float(noise.std()) == pytest.approx(2 * NOISE, abs=0.0026)
    assert abs(float(noise.mean())) < 0.0036


def test_another_seed_is_another_noise(task):
    other = Shapes3DClasses(seed=1)
    assert torch.equal(other.clean_images(SOME), task.clean_images(SOME))
    assert not torch.allclose(other.images(SOME), task.images(SOME))


def test_without_noise_the_images_are_clean():
    task = Shapes3DClasses(noise=0.0)
    clean = task.images(SOME)
    assert torch.equal(clean, task.clean_images(SOME))
    # bytes 0 to 255 become -1 to 1: byte b is b / 127.5 - 1
    expected = task.shapes.images(SOME).double() / 127.5 - 1
    assert (clean.double() - expected).abs().max() < 1e-6
    assert -1 <= float(clean.min()) < float(clean.max()) <= 1


def test_no_index_no_images(task):
    none = SOME[:0]
    assert task.images(none).shape == (0, 3, 64, 64)
    assert task.object_masks(none).shape == (0, 64, 64)


@pytest.mark.parametrize("noise", [-0.1, float("inf"), float("nan")])
def test_noise_that_makes_no_sense_is_refused(noise):
    with pytest.raises(ValueError, match=f"noise is {noise}, allowed is a finite number from 0"):
        Shapes3DClasses(noise=noise)


def test_the_split_is_disjoint_and_complete():
    train, heldout = split(5000)
    assert len(heldout) == 5000
    assert torch.equal(torch.cat([train, heldout]).sort().values, torch.arange(480_000))


def test_the_split_comes_from_its_seed_and_a_smaller_one_is_its_beginning():
    _, heldout = split(50, seed=3)
    assert torch.equal(split(50, seed=3)[1], heldout)
    assert torch.equal(split(20, seed=3)[1], heldout[:20])
    assert not torch.equal(split(50, seed=4)[1], heldout)


@pytest.mark.parametrize("n_heldout", [0, 480_000, -1])
def test_a_split_without_one_of_its_sides_is_refused(n_heldout):
    with pytest.raises(ValueError, match=f"n_heldout is {n_heldout}, allowed is 1 to 479999"):
        split(n_heldout)
