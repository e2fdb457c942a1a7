"""Accuracy: ranks by hand and by sorting, Wilson's interval by its definition."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.data.labelled_images import LabelledImages
from seethrough.models.accuracy import accuracy, rank_of_class, wilson_interval

NAN = math.nan


class Logits(LabelledImages):
    """Each image carries its logits in its first row."""

    def __init__(self, logits: Tensor, labels: list[int]) -> None:
        n_classes = logits.shape[1]
        self.name, self.class_names = "made up", tuple(map(str, range(n_classes)))
        self.labels, self.image_shape = torch.tensor(labels), (3, 1, n_classes)
        self.logits = logits

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        return self.logits[index][:, None, None].expand(-1, 3, 1, -1)


class ReadLogits(nn.Module):
    """Answers with the first row, if in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Dropout(1.0)

    def forward(self, images: Tensor) -> Tensor:
        return self.part(images[:, 0, 0])


def test_by_hand() -> None:
    # Six classes. Image 0: right. Image 1: one class is higher. Image 2: five are higher, so it is
    # not among the best five. Image 3: right again.
    logits = torch.tensor(
        [
            [9.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            [1.0, 8.0, 9.0, 3.0, 4.0, 5.0],
            [0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
            [9.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        ]
    )
    found = accuracy(ReadLogits(), Logits(logits, [0, 1, 0, 0]), torch.arange(4), batch_size=3)
    assert (found.top_1.n_right, found.top_5.n_right, found.top_1.n) == (2, 3, 4)
    assert (found.top_1.value, found.top_5.value) == (0.5, 0.75)
    assert found.class_counts.tolist() == [3, 1, 0, 0, 0, 0]
    assert found.class_right.tolist() == [2, 0, 0, 0, 0, 0]


def test_index_selects_and_may_repeat() -> None:
    images = Logits(torch.eye(3), [0, 0, 2])
    found = accuracy(ReadLogits(), images, torch.tensor([1, 1, 2]))
    assert (found.top_1.n_right, found.top_1.n) == (1, 3)
    # Of three classes every one is among the best five.
    assert found.top_5.value == 1.0


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_batch_size_changes_nothing(batch_size: int, tiny_vit: Callable[..., Any]) -> None:
    generator = torch.Generator().manual_seed(0)

    class Noise(LabelledImages):
        name, class_names, image_shape = "noise", tuple("abcdefgh"), (3, 16, 16)
        labels = torch.randint(0, 8, (30,), generator=generator)
        pixels = torch.randn(30, 3, 16, 16, generator=generator)

        def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
            return self.pixels[index]

    model, images = tiny_vit(num_classes=8), Noise()
    found = accuracy(model, images, torch.arange(30), batch_size)
    with torch.inference_mode():
        best = model(images.pixels).topk(5).indices == images.labels[:, None]
    assert found.top_1.n_right == int(best[:, 0].sum())
    assert found.top_5.n_right == int(best.any(dim=1).sum())
    assert int(found.class_counts.sum()) == 30
    assert int(found.class_right.sum()) == found.top_1.n_right


def test_mode_of_every_part_is_restored() -> None:
    model = ReadLogits()
    model.train()
    model.part.eval()
    accuracy(model, Logits(torch.eye(2), [0, 1]), torch.arange(2))
    assert model.training
    assert not model.part.training
    model.part.train()
    with pytest.raises(ValueError, match="label"):
        accuracy(model, Logits(torch.eye(2), [0, 2]), torch.arange(2))
    assert model.training
    assert model.part.training


def test_dropout_is_off_meanwhile() -> None:
    model = ReadLogits().train()
    assert accuracy(model, Logits(torch.eye(4), [0, 1, 2, 3]), torch.arange(4)).top_1.value == 1.0


def test_what_is_refused() -> None:
    images = Logits(torch.eye(2), [0, 2])
    with pytest.raises(ValueError, match="index is empty"):
        accuracy(ReadLogits(), images, torch.empty(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="made up has the label 2, allowed is 0 to 1: the model"):
        accuracy(ReadLogits(), images, torch.tensor([0]))
    with pytest.raises(ValueError, match="index 2 is not there"):
        accuracy(ReadLogits(), images, torch.tensor([2]))


@pytest.mark.parametrize(
    ("logits", "label", "rank"),
    [
        ([1.0, 3.0, 2.0], 2, 1),
        ([1.0, 3.0, 2.0], 1, 0),
        # Of equal logits the lower number comes first.
        ([5.0, 5.0, 5.0], 0, 0),
        ([5.0, 5.0, 5.0], 2, 2),
        # NaN comes before everything, and everything before a class that is NaN.
        ([NAN, 1.0, 2.0], 2, 1),
        ([NAN, 1.0, 2.0], 0, 2),
        ([NAN, NAN, NAN], 0, 2),
        ([math.inf, -math.inf, 0.0], 1, 2),
    ],
)
def test_ranks_by_hand(logits: list[float], label: int, rank: int) -> None:
    assert rank_of_class(torch.tensor([logits]), torch.tensor([label])).tolist() == [rank]


def test_ranks_equal_a_stable_sort() -> None:
    generator = torch.Generator().manual_seed(0)
    # Few values, so that many are equal.
    logits = torch.randint(0, 4, (200, 9), generator=generator).float()
    labels = torch.randint(0, 9, (200,), generator=generator)
    order = logits.argsort(dim=1, descending=True, stable=True)
    expected = (order == labels[:, None]).nonzero()[:, 1]
    assert torch.equal(rank_of_class(logits, labels), expected)


@pytest.mark.parametrize(("n_right", "n"), [(0, 10), (1, 3), (8, 10), (157, 200), (7, 7)])
def test_wilson_ends_are_where_the_score_test_just_rejects(n_right: int, n: int) -> None:
    # Definition: the ends solve |n_right / n - q| = z sqrt(q (1 - q) / n).
    share = wilson_interval(n_right, n)
    z = 1.959963984540054
    for end in (share.low, share.high):
        assert abs(share.value - end) == pytest.approx(z * math.sqrt(end * (1 - end) / n), abs=1e-9)
    assert share.low <= share.value <= share.high


def test_wilson_known_value() -> None:
    # 8 of 10 at 95 %: 0.4902 to 0.9433.
    share = wilson_interval(8, 10)
    assert (share.low, share.high) == pytest.approx((0.4902, 0.9433), abs=5e-5)


@given(st.integers(1, 2000), st.data())
def test_wilson_is_symmetric_and_within_bounds(n: int, data: st.DataObject) -> None:
    n_right = data.draw(st.integers(0, n))
    share, mirrored = wilson_interval(n_right, n), wilson_interval(n - n_right, n)
    assert 0 <= share.low <= share.value <= share.high <= 1
    assert share.low == pytest.approx(1 - mirrored.high, abs=1e-12)


def test_wilson_narrows_with_images_and_widens_with_the_level() -> None:
    widths = [wilson_interval(n // 2, n).high - wilson_interval(n // 2, n).low for n in (10, 1000)]
    assert widths[1] < widths[0]
    assert wilson_interval(5, 10, 0.99).high > wilson_interval(5, 10, 0.9).high


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ((0, 0), "n is 0, allowed is at least 1"),
        ((4, 3), "n_right is 4, allowed is 0 to n = 3"),
        ((-1, 3), "n_right is -1"),
        ((1, 3, 1.0), "level is 1.0, allowed is above 0 and below 1"),
    ],
)
def test_wilson_refuses(wrong: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        wilson_interval(*wrong)


def test_images_are_made_outside_inference_mode() -> None:
    """A source that keeps what it drew could not write to it again."""

    class Watched(Logits):
        def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
            assert not torch.is_inference_mode_enabled()
            return super().images(index)

    watched = Watched(torch.eye(3), [0, 1, 2])
    assert accuracy(ReadLogits(), watched, torch.arange(3)).top_1.value == 1.0
