import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.autoencoders.schedule import SHAPES, check_shape, share_done


def test_linear_worked_by_hand() -> None:
    # 4 epochs are 3 equal steps
    assert [share_done("linear", epoch, 4) for epoch in (1, 2, 3, 4)] == [0, 1 / 3, 2 / 3, 1]


def test_cosine_worked_by_hand() -> None:
    # (1 - cos(pi p)) / 2 at p = 0, 1/3, 1/2, 2/3, 1: cosines 1, 1/2, 0, -1/2, -1
    shares = [share_done("cosine", epoch, 7) for epoch in (1, 3, 4, 5, 7)]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_constant_is_done_from_the_first_epoch_on() -> None:
    assert {share_done("constant", epoch, 7) for epoch in range(1, 30)} == {1}


@pytest.mark.parametrize("shape", SHAPES)
def test_epochs_past_the_squeeze_keep_its_end(shape: str) -> None:
    assert {share_done(shape, epoch, 50) for epoch in (50, 51, 150)} == {1}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_squeeze_of_one_epoch_is_done_in_it(shape: str) -> None:
    assert share_done(shape, 1, 1) == share_done(shape, 2, 1) == 1


@settings(deadline=None, derandomize=True, max_examples=50)
@given(shape=st.sampled_from(("linear", "cosine")), epochs=st.integers(2, 80))
def test_never_falls_and_goes_from_0_to_1(shape: str, epochs: int) -> None:
    shares = [share_done(shape, epoch, epochs) for epoch in range(1, epochs + 1)]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    back = [1 - share for share in reversed(shares)]
    assert shares == pytest.approx(back)  # the second half mirrors the first


def test_an_unknown_shape_is_named() -> None:
    named = "^schedule is 'step', allowed are linear, cosine, constant$"
    with pytest.raises(ValueError, match=named):
        check_shape("step")
    with pytest.raises(ValueError, match=named):
        share_done("step", 1, 10)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("epoch", "epochs"), [(0, 10), (-1, 10), (1, 0)])
def test_epochs_count_from_one(shape: str, epoch: int, epochs: int) -> None:
    with pytest.raises(ValueError, match=f"^epoch {epoch} of {epochs}: both count from 1$"):
        share_done(shape, epoch, epochs)
