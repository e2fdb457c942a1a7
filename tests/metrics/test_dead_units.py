"""Dead units by every definition, on activations small enough to count by eye."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.metrics import dead_units
from seethrough.metrics.dead_units import UnitActivity

# Four images, five units, the two largest kept per image where they are positive.
#   unit 0: always largest          -> fires on 4
#   unit 1: second on images 0, 1   -> fires on 2
#   unit 2: positive, never kept    -> dead by Top-k
#   unit 3: never positive          -> dead by ReLU
#   unit 4: second on image 2; on image 3 nothing but unit 0 is positive, and a Top-k that keeps
#           two keeps one more unit at the value 0, which has not fired.
RELU = torch.tensor(
    [
        [8.0, 4.0, 1.0, 0.0, 0.0],
        [6.0, 3.0, 2.0, 0.0, 0.0],
        [4.0, 0.0, 1.0, 0.0, 2.0],
        [2.0, 0.0, 0.0, 0.0, 0.0],
    ]
)
SPARSE = torch.tensor(
    [
        [8.0, 4.0, 0.0, 0.0, 0.0],
        [6.0, 3.0, 0.0, 0.0, 0.0],
        [4.0, 0.0, 0.0, 0.0, 2.0],
        [2.0, 0.0, 0.0, 0.0, 0.0],
    ]
)


def activity() -> UnitActivity:
    return dead_units.unit_activity([(RELU, SPARSE)])


def made(fired: list[int], maxima: list[float], n_images: int = 1000) -> UnitActivity:
    counts = torch.tensor(fired)
    return UnitActivity(
        n_images=n_images,
        fired_count=counts,
        relu_count=counts,
        max_activation=torch.tensor(maxima),
    )


def test_counts_by_hand():
    seen = activity()
    assert seen.n_images == 4
    assert seen.fired_count.tolist() == [4, 2, 0, 0, 1]
    assert seen.relu_count.tolist() == [4, 2, 3, 0, 1]
    assert seen.max_activation.tolist() == [8.0, 4.0, 0.0, 0.0, 2.0]


def test_masks_by_hand():
    seen = activity()
    assert dead_units.never_active(seen).tolist() == [False, False, True, True, False]
    assert dead_units.dead_by_relu(seen).tolist() == [False, False, False, True, False]
    assert dead_units.dead_by_topk(seen).tolist() == [False, False, True, False, False]
    assert dead_units.always_on(seen).tolist() == [True, False, False, False, False]
    # Frequencies 1, 1/2, 0, 0, 1/4: below 1/2 is strict.
    assert dead_units.frequency_below(seen, 0.5).tolist() == [False, False, True, True, True]
    # The layer scale is the median of 8, 4, 2, that is 4; 0.6 x 4 = 2.4 catches unit 4.
    assert float(dead_units.layer_scale(seen)) == 4.0
    assert dead_units.maximum_below(seen, 0.6).tolist() == [False, False, True, True, True]
    assert dead_units.share(dead_units.never_active(seen)) == 0.4


def test_batches_and_one_pass_agree():
    split = dead_units.unit_activity(
        [(RELU[:1], SPARSE[:1]), (RELU[1:1], SPARSE[1:1]), (RELU[1:], SPARSE[1:])]
    )
    whole = activity()
    assert split.n_images == whole.n_images
    assert torch.equal(split.fired_count, whole.fired_count)
    assert torch.equal(split.relu_count, whole.relu_count)
    assert torch.equal(split.max_activation, whole.max_activation)


def test_observing_changes_no_earlier_statistics():
    empty = UnitActivity.none(5)
    empty.observe(RELU, SPARSE)
    assert empty.n_images == 0
    assert empty.fired_count.tolist() == [0] * 5


@settings(deadline=None, derandomize=True, max_examples=50)
@given(
    width=st.integers(1, 12), n=st.integers(1, 20), k=st.integers(1, 12), seed=st.integers(0, 999)
)
def test_split_and_ceiling_hold_for_any_topk_code(width, n, k, seed):
    generator = torch.Generator().manual_seed(seed)
    relu = torch.randn(n, width, generator=generator).sub(0.5).relu()
    kept = relu.topk(min(k, width), dim=1)
    sparse = torch.zeros_like(relu).scatter(1, kept.indices, kept.values)
    seen = dead_units.unit_activity([(relu, sparse)])
    by_relu, by_topk = dead_units.dead_by_relu(seen), dead_units.dead_by_topk(seen)
    assert not bool((by_relu & by_topk).any())
    assert torch.equal(by_relu | by_topk, dead_units.never_active(seen))
    if bool((kept.values > 0).all()):
        dead = dead_units.share(dead_units.never_active(seen))
        assert dead <= dead_units.ceiling(width, k)
    least = dead_units.share(dead_units.never_active(seen))
    assert all(least <= other <= 1 for other in shares_by_threshold(seen))


def shares_by_threshold(seen: dead_units.UnitActivity) -> list[float]:
    masks = [dead_units.maximum_below(seen, t) for t in (1e-6, 1e-3, 1e-2, 0.05)]
    masks += [dead_units.frequency_below(seen, f) for f in (1e-4, 1e-3, 1e-2)]
    return [dead_units.share(mask) for mask in masks]


def test_shares_by_threshold_by_hand():
    # Ten units, 1000 images. Maxima of the 9 live ones: 0.5e-6, 0.5e-3, 0.5e-2, 0.03 and five
    # times 1, so the layer scale is 1. Fired on 0, 1, 5, 10 and six times 500 images.
    seen = made(
        [0, 500, 500, 500, 500, 1, 5, 10, 500, 500],
        [0.0, 0.5e-6, 0.5e-3, 0.5e-2, 0.03, 1.0, 1.0, 1.0, 1.0, 1.0],
    )
    assert dead_units.share(dead_units.never_active(seen)) == 0.1
    # Maximum below 1e-6, 1e-3, 1e-2, 0.05 of the scale; frequency below 1e-4, 1e-3 (1/1000 is not
    # below it), 1e-2.
    assert shares_by_threshold(seen) == [0.2, 0.3, 0.4, 0.5, 0.1, 0.1, 0.3]


def test_maximum_threshold_follows_the_scale_of_the_layer():
    maxima = [0.0, 0.02, 1.0, 2.0, 3.0]
    small = made([0, 5, 5, 5, 5], [1e-4 * value for value in maxima])
    large = made([0, 5, 5, 5, 5], maxima)
    expected = dead_units.maximum_below(large, 0.05)
    assert expected.tolist() == [True, True, False, False, False]
    assert torch.equal(dead_units.maximum_below(small, 0.05), expected)


def test_even_number_of_live_units_takes_the_mean_of_the_middle_two():
    assert float(dead_units.layer_scale(made([1, 1, 1, 1, 0], [1.0, 2.0, 4.0, 9.0, 0.0]))) == 3.0


def test_all_units_dead():
    seen = made([0, 0], [0.0, 0.0])
    assert math.isnan(float(dead_units.layer_scale(seen)))
    assert set(shares_by_threshold(seen)) == {1.0}


def test_negative_values_have_not_fired():
    seen = dead_units.unit_activity([(torch.tensor([[-1.0, 2.0]]), torch.tensor([[-1.0, 2.0]]))])
    assert seen.fired_count.tolist() == [0, 1]
    assert seen.max_activation.tolist() == [0.0, 2.0]


def test_revivals_and_deaths():
    before = torch.tensor([True, True, False, False])
    after = torch.tensor([True, False, True, False])
    assert dead_units.revived(before, after).tolist() == [False, True, False, False]
    assert dead_units.died(before, after).tolist() == [False, False, True, False]


@pytest.mark.parametrize(
    ("width", "k", "expected"), [(500, 50, 0.9), (1000, 50, 0.95), (500, 500, 0), (40, 50, 0)]
)
def test_ceiling(width, k, expected):
    assert dead_units.ceiling(width, k) == expected


def test_nan_is_refused_and_not_taken_for_death():
    sparse = SPARSE.clone()
    sparse[1, 3] = math.nan
    seen = dead_units.unit_activity([(RELU, sparse), (RELU, SPARSE)])
    with pytest.raises(ValueError, match="NaN in 1 units"):
        dead_units.never_active(seen)


def test_what_cannot_be_judged_is_refused():
    with pytest.raises(ValueError, match="at least one image, got none"):
        dead_units.never_active(UnitActivity.none(3))
    with pytest.raises(ValueError, match="at least one batch, got none"):
        dead_units.unit_activity([])
    with pytest.raises(ValueError, match=r"shape \(B, 5\), got \(4, 4\) and \(4, 4\)"):
        activity().observe(RELU[:, :4], SPARSE[:, :4])
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        UnitActivity.none(0)
    with pytest.raises(ValueError, match="n_images must be 0 or more, got -1"):
        made([1], [1.0], n_images=-1)
    with pytest.raises(ValueError, match="fraction must be above 0, got 0"):
        dead_units.maximum_below(activity(), 0.0)
    with pytest.raises(ValueError, match="frequency must be above 0 and at most 1, got 1.5"):
        dead_units.frequency_below(activity(), 1.5)
    with pytest.raises(ValueError, match="at least one unit"):
        dead_units.share(torch.empty(0, dtype=torch.bool))
    with pytest.raises(ValueError, match="got 0 and 50"):
        dead_units.ceiling(0, 50)


def test_statistics_of_different_widths_are_refused(no_shape_checks):
    with pytest.raises(ValueError, match=r"lengths \[2, 2, 1\]"):
        made([1, 1], [1.0])
    with pytest.raises(ValueError, match=r"shape \(B, 5\), got \(4, 5\) and \(3, 5\)"):
        activity().observe(RELU, SPARSE[:3])
