import pytest
from hypothesis import given
from hypothesis import strategies as st

from seethrough.autoencoders.schedule import (
    ConstantSchedule,
    CosineSchedule,
    LinearSchedule,
    make_schedule,
)


def test_linear_worked_by_hand() -> None:
    # 500 to 50 over 4 epochs: steps of 450 / 3 = 150
    schedule = LinearSchedule(start=500, end=50)
    assert [schedule.k_at(epoch, 4) for epoch in (1, 2, 3, 4)] == [500, 350, 200, 50]


def test_cosine_worked_by_hand() -> None:
    # halfway the cosine is 0, so k is the mean of both ends: (500 + 50) / 2 = 275
    schedule = CosineSchedule(start=500, end=50)
    assert [schedule.k_at(epoch, 3) for epoch in (1, 2, 3)] == [500, 275, 50]


def test_constant_never_moves() -> None:
    assert {ConstantSchedule(k=50).k_at(epoch, 7) for epoch in range(1, 30)} == {50}


@pytest.mark.parametrize("shape", ["linear", "cosine", "constant"])
def test_epochs_past_the_schedule_keep_its_end(shape: str) -> None:
    schedule = make_schedule(shape, 500, 50)
    assert schedule.k_at(50, 50) == schedule.k_at(51, 50) == schedule.k_at(150, 50) == 50


def test_one_epoch_is_the_end() -> None:
    assert make_schedule("linear", 500, 50).k_at(1, 1) == 50


@given(
    shape=st.sampled_from(["linear", "cosine"]),
    end=st.integers(1, 400),
    above=st.integers(0, 2000),
    epochs=st.integers(2, 80),
)
def test_never_rises_and_stays_between_its_ends(
    shape: str, end: int, above: int, epochs: int
) -> None:
    schedule = make_schedule(shape, end + above, end)
    ks = [schedule.k_at(epoch, epochs) for epoch in range(1, epochs + 1)]
    assert ks == sorted(ks, reverse=True)
    assert (ks[0], ks[-1]) == (end + above, end)


@pytest.mark.parametrize(
    ("shape", "start", "end", "named"),
    [("step", 500, 50, "step"), ("linear", 500, 0, "0"), ("linear", 40, 50, "40")],
)
def test_wrong_values_are_named(shape: str, start: int, end: int, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        make_schedule(shape, start, end)


def test_epochs_count_from_one() -> None:
    with pytest.raises(ValueError, match="count from 1"):
        ConstantSchedule().k_at(0, 10)
