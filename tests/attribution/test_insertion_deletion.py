"""Insertion and deletion by hand, by a plain loop, and on maps of known worth."""

import pytest
import torch
from torch import nn

from seethrough.attribution.gaussian_blur import gaussian_blur
from seethrough.attribution.insertion_deletion import InsertionDeletion, insertion_deletion


class Weighted(nn.Module):
    """Two classes; the logit of class 1 is a weighted sum of pixels, that of class 0 is 0."""

    def __init__(self, weights: torch.Tensor) -> None:
        super().__init__()
        self.weights = weights  # (H, W)
        self.batches: list[int] = []

    def forward(self, images):
        self.batches.append(len(images))
        score = (images * self.weights).sum(dim=(1, 2, 3))
        return torch.stack([torch.zeros_like(score), score], dim=1)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_loop(model, image, score_map, target, steps, blank):
    """Both curves of one image: cells sorted by Python, changed one after the other."""
    rows, columns = image.shape[1] // score_map.shape[0], image.shape[2] // score_map.shape[1]
    values = score_map.flatten().tolist()
    order = sorted(range(len(values)), key=lambda cell: (-values[cell], cell))
    curves = ([], [])
    for start, end, curve in ((image, blank, curves[0]), (blank, image, curves[1])):
        for step in range(steps + 1):
            changed = start.clone()
            for cell in order[: step * len(order) // steps]:
                y, x = divmod(cell, score_map.shape[1])
                some = (..., slice(y * rows, (y + 1) * rows), slice(x * columns, (x + 1) * columns))
                changed[some] = end[some]
            curve.append(float(model(changed[None]).softmax(dim=1)[0, target]))
    return curves


def test_by_hand():
    # One row of two pixels with logits 2 and 1, all on channel 0; the first is ranked first.
    # Deletion: sigmoid 3, 1, 0; insertion: 0, 2, 3. Trapezoids over (0, 1/2, 1).
    model = Weighted(torch.tensor([[2.0, 1.0]], dtype=torch.float64))
    images = torch.zeros(1, 3, 1, 2, dtype=torch.float64)
    images[:, 0] = 1
    maps = torch.tensor([[[0.9, 0.1]]], dtype=torch.float64)
    found = insertion_deletion(model, images, maps, steps=2)
    p = torch.tensor([0.0, 1.0, 2.0, 3.0], dtype=torch.float64).sigmoid()
    assert found.targets.tolist() == [1]
    assert found.fractions.tolist() == [0.0, 0.5, 1.0]
    torch.testing.assert_close(found.deletion[0], p[[3, 1, 0]])
    torch.testing.assert_close(found.insertion[0], p[[0, 2, 3]])
    assert float(found.deletion_auc) == pytest.approx(float(p[3] / 4 + p[1] / 2 + p[0] / 4))
    assert float(found.insertion_auc) == pytest.approx(float(p[0] / 4 + p[2] / 2 + p[3] / 4))
    assert float(found.clean_probability) == pytest.approx(float(p[3]))
    assert float(found.normalised_deletion_auc) == pytest.approx(
        float(p[3] / 4 + p[1] / 2 + p[0] / 4) / float(p[3])
    )


@pytest.mark.parametrize("unit", ["patch", "pixel"])
@pytest.mark.parametrize("reference", ["zero", "blur"])
def test_equals_the_loop(tiny_vit, unit, reference):
    model = tiny_vit(depth=1).double()
    images, targets = draw(3, 3, 16, 16), torch.tensor([0, 4, 2])
    maps = draw(3, *((4, 4) if unit == "patch" else (16, 16)), seed=1)
    maps[2] = maps[2].round()  # ties
    found = insertion_deletion(
        model, images, maps, targets, unit, steps=6, reference=reference, batch_size=5
    )
    blank = torch.zeros_like(images) if reference == "zero" else gaussian_blur(images)
    with torch.no_grad():
        for i in range(3):
            expected = by_loop(model, images[i], maps[i], int(targets[i]), 6, blank[i])
            for curve, loop in zip((found.deletion[i], found.insertion[i]), expected, strict=True):
                torch.testing.assert_close(curve, torch.tensor(loop, dtype=torch.float64))


def test_a_coarse_map_by_pixel_is_upsampled_first():
    model = Weighted(draw(4, 4))
    images, maps = draw(1, 3, 4, 4, seed=1), draw(1, 2, 2, seed=2)
    # Two cells over four pixels: the centres of the pixels lie 0, 1/4, 3/4 and 1 of the way.
    way = torch.tensor([[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]).double()
    expected = insertion_deletion(model, images, way @ maps @ way.T, steps=16)
    found = insertion_deletion(model, images, maps, unit="pixel", steps=16)
    torch.testing.assert_close(found.deletion, expected.deletion)
    torch.testing.assert_close(found.insertion, expected.insertion)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_batch_size_bounds_the_model_and_changes_nothing(batch_size):
    model = Weighted(draw(4, 4))
    images, maps = draw(3, 3, 4, 4, seed=1), draw(3, 4, 4, seed=2)
    expected = insertion_deletion(model, images, maps, steps=5, batch_size=2)
    model.batches.clear()
    found = insertion_deletion(model, images, maps, steps=5, batch_size=batch_size)
    torch.testing.assert_close(found.deletion, expected.deletion)
    torch.testing.assert_close(found.insertion, expected.insertion)
    assert max(model.batches) <= max(2, batch_size)


def test_end_points_are_shared():
    """3 whole images, 1 zero reference, and 2 x (5 - 1) changed images for each of the 3."""
    model = Weighted(draw(4, 4))
    found = insertion_deletion(model, draw(3, 3, 4, 4), draw(3, 4, 4), steps=5)
    assert sum(model.batches) == 3 + 1 + 2 * 4 * 3
    assert torch.equal(found.deletion[:, 0], found.insertion[:, -1])
    assert torch.equal(found.deletion[:, -1], found.insertion[:, 0])


def test_one_step_has_the_end_points_only():
    model = Weighted(draw(4, 4))
    found = insertion_deletion(model, draw(1, 3, 4, 4), draw(1, 4, 4), steps=1)
    assert sum(model.batches) == 2
    assert found.fractions.tolist() == [0.0, 1.0]
    assert float(found.deletion_auc) == float(found.insertion_auc)


def test_steps_that_do_not_divide_take_the_floor():
    # 16 cells in 5 steps: floors of 3.2, 6.4, 9.6 and 12.8.
    found = insertion_deletion(Weighted(draw(4, 4)), draw(1, 3, 4, 4), draw(1, 4, 4), steps=5)
    assert (found.fractions * 16).tolist() == [0.0, 3.0, 6.0, 9.0, 12.0, 16.0]


def test_a_constant_map_is_reading_order():
    model, images = Weighted(draw(4, 4)), draw(2, 3, 4, 4, seed=1)
    reading = -torch.arange(16.0).view(1, 4, 4).expand(2, 4, 4)
    expected = insertion_deletion(model, images, reading, steps=16)
    for constant in (torch.full((2, 4, 4), 0.3), torch.zeros(2, 4, 4)):
        found = insertion_deletion(model, images, constant, steps=16)
        assert torch.equal(found.deletion, expected.deletion)
        assert torch.equal(found.insertion, expected.insertion)
    coarse = insertion_deletion(model, images, torch.full((2, 2, 2), 0.3), unit="pixel", steps=16)
    assert torch.equal(coarse.deletion, expected.deletion)


def test_the_oracle_beats_every_order_and_its_inverse_loses_to_it():
    """The score is a sum over pixels, so the order of its terms is the best there is."""
    weights = draw(4, 4)
    model, images = Weighted(weights), draw(8, 3, 4, 4, seed=1)
    oracle = (images * weights).sum(dim=1)
    targets = torch.ones(8, dtype=torch.int64)
    best = insertion_deletion(model, images, oracle, targets, steps=16)
    worst = insertion_deletion(model, images, -oracle, targets, steps=16)
    others = [torch.zeros_like(oracle)] + [draw(8, 4, 4, seed=seed) for seed in range(2, 8)]
    for maps in others:
        found = insertion_deletion(model, images, maps, targets, steps=16)
        assert bool((best.deletion_auc < found.deletion_auc).all())
        assert bool((best.insertion_auc > found.insertion_auc).all())
        assert bool((worst.deletion_auc > found.deletion_auc).all())
        assert bool((worst.insertion_auc < found.insertion_auc).all())


def test_deletion_of_a_map_is_insertion_of_its_inverse_backwards():
    """What is left when the first k cells are gone are the last n - k cells put back."""
    model, images, maps = Weighted(draw(4, 4)), draw(2, 3, 4, 4, seed=1), draw(2, 4, 4, seed=2)
    targets = torch.tensor([0, 1])
    there = insertion_deletion(model, images, maps, targets, steps=8)
    back = insertion_deletion(model, images, -maps, targets, steps=8)
    torch.testing.assert_close(there.deletion, back.insertion.flip(1))


def test_half_precision_scores_are_not_rounded():
    class Half(Weighted):
        def forward(self, images):
            return super().forward(images).half()

    weights, images, maps = draw(4, 4), draw(1, 3, 4, 4, seed=1), draw(1, 4, 4)
    found = insertion_deletion(Half(weights), images, maps, steps=2)
    exact = insertion_deletion(Weighted(weights), images, maps, steps=2)
    assert found.deletion.dtype == torch.float32
    # The logits, of a few units at most, carry 11 bits; the probabilities lose no more.
    torch.testing.assert_close(found.deletion.double(), exact.deletion, rtol=0, atol=5e-3)


def test_an_impossible_class_has_no_normalised_area():
    model = Weighted(torch.full((1, 1), 2000.0, dtype=torch.float64))
    images = torch.ones(1, 3, 1, 1, dtype=torch.float64)
    found = insertion_deletion(model, images, torch.zeros(1, 1, 1), torch.tensor([0]), steps=1)
    assert float(found.clean_probability) == 0
    assert bool(found.normalised_deletion_auc.isnan())
    assert bool(found.normalised_insertion_auc.isnan())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"maps": torch.zeros(1, 4, 4)}, "got 2 images and 1 maps"),
        ({"maps": torch.full((2, 4, 4), torch.nan)}, "must be finite"),
        ({"maps": torch.zeros(2, 3, 4)}, r"size \(4, 4\) is no multiple of the grid \(3, 4\)"),
        ({"steps": 0}, "steps is 0, allowed is 1 to 16"),
        ({"steps": 17}, "steps is 17, allowed is 1 to 16"),
        ({"maps": torch.zeros(2, 2, 2), "steps": 5}, "steps is 5, allowed is 1 to 4"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"unit": "cell"}, "unit is 'cell', allowed is one of"),
        ({"reference": "black"}, "reference is 'black', allowed is one of"),
        ({"targets": torch.tensor([0, 2])}, "target 2 is no class, allowed is 0 to 1"),
        ({"targets": torch.tensor([0])}, r"targets have shape \(1,\), allowed is \(2,\)"),
    ],
)
def test_bad_input_is_refused(no_shape_checks, changes, message):
    good = {"images": torch.zeros(2, 3, 4, 4), "maps": torch.zeros(2, 4, 4), "steps": 4}
    with pytest.raises(ValueError, match=message):
        insertion_deletion(Weighted(torch.ones(4, 4)), **(good | changes))


def test_no_images_are_refused():
    with pytest.raises(ValueError, match="got 0 images"):
        insertion_deletion(
            Weighted(torch.ones(4, 4)), torch.zeros(0, 3, 4, 4), torch.zeros(0, 2, 2)
        )


def test_the_result_is_plain_data():
    found = insertion_deletion(Weighted(draw(4, 4)), draw(2, 3, 4, 4), draw(2, 4, 4), steps=3)
    assert isinstance(found, InsertionDeletion)
    assert found.deletion.shape == found.insertion.shape == (2, 4)
    assert not found.deletion.requires_grad


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("reference", ["zero", "blur"])
def test_gpu_equals_cpu(tiny_vit, reference):
    model, images, maps = tiny_vit().double(), draw(3, 3, 16, 16), draw(3, 4, 4, seed=1).round()
    on_cpu = insertion_deletion(model, images, maps, steps=5, reference=reference)
    on_gpu = insertion_deletion(
        model.cuda(), images.cuda(), maps.cuda(), steps=5, reference=reference
    )
    torch.testing.assert_close(on_gpu.deletion.cpu(), on_cpu.deletion)
    torch.testing.assert_close(on_gpu.insertion.cpu(), on_cpu.insertion)
