"""Cost of the study: passes by hand, seconds in proportion."""

import pytest

from seethrough.models.study_cost import Protocol, cost_estimate, cost_table

SMALL = Protocol(
    n_sparsities=1,
    n_dense=2,
    n_train=10,
    n_validation=5,
    n_classes=2,
    n_calibration=4,
    recovery_epochs=2,
    n_mean_images=3,
    n_ablated_sets=6,
    n_circuits=2,
    circuit_images=4,
    circuit_epochs=3,
    n_attributed_per_class=1,
    n_steps=7,
)


def test_passes_by_hand() -> None:
    # Three models: one pruned, two dense, of which one is as released. Training is forward and
    # backward, 3 passes.
    expected = {
        "pruning": 4,
        # Two models, two epochs, ten images.
        "recovery": 2 * 2 * 10 * 3,
        # Every model, and the pruned one before its recovery too.
        "accuracy": 4 * 5,
        "1 neurons": 3 * (3 + 5 * (3 + 6)),
        "2 representations": 3 * 10,
        # Two circuits, four images, three epochs.
        "3 circuits": 3 * (3 + 2 * 4 * 3 * 3),
        # Two images: the map, and two curves of eight points.
        "4 attribution": 3 * 2 * (3 + 16),
    }
    costs = cost_estimate(2, SMALL)
    assert {cost.level: cost.passes for cost in costs[:-1]} == expected
    assert costs[-1].passes == sum(expected.values())
    assert costs[0].seconds == 2.0


def test_seconds_are_inverse_to_the_rate() -> None:
    slow, fast = cost_estimate(100), cost_estimate(1000.0)
    for one, other in zip(slow, fast, strict=True):
        assert one.passes == other.passes
        assert one.seconds == pytest.approx(10 * other.seconds)


def test_circuits_of_the_paper() -> None:
    # 2,600 images for 15 epochs are 39,000 passes forward and backward per circuit, 3.9 million for
    # 100 circuits, in each of 6 pruned and 2 dense models.
    circuits = next(cost for cost in cost_estimate(1) if cost.level == "3 circuits")
    assert circuits.passes == 8 * (3 * 3_900_000 + 10_000)


def test_table_has_a_line_per_part() -> None:
    costs = cost_estimate(1000)
    lines = cost_table(costs).splitlines()
    assert [line.partition("  ")[0].strip() for line in lines] == [cost.level for cost in costs]
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize("rate", [0, -1.0, float("nan")])
def test_wrong_rate_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match="images_per_second is .*, allowed is above 0"):
        cost_estimate(rate)


def test_negative_number_is_refused() -> None:
    with pytest.raises(ValueError, match="n_steps is -1, allowed is at least 0"):
        Protocol(n_steps=-1)
