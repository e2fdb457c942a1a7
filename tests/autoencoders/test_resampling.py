import pytest
import torch

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import create, make_optimizer
from seethrough.training.initialise import generator_for

CONFIG = SAEConfig(width=9, sparsifier=TopK(start=3, end=3), revival=Resampling())
INPUTS = torch.randn(40, 4, generator=generator_for(5))
DEAD = torch.tensor([False, True, True, False, False, True, False, True, False])
UNITS = DEAD.nonzero()[:, 0]


def trained() -> tuple[PreparedAutoencoder, torch.optim.Adam]:
    """A layer after one step, so that Adam has moments."""
    sae = create(CONFIG, 4)
    with torch.no_grad():
        sae.b_pre += torch.tensor([0.5, -1.0, 0.0, 2.0])
        sae.b_enc += 0.3
    optimizer = make_optimizer(CONFIG, sae)
    sae(INPUTS, 3.0).unexplained().backward()
    optimizer.step()
    assert sae.silence is not None
    sae.silence.steps.copy_(torch.where(DEAD, 7, 0))
    return sae, optimizer


def resample(sae: PreparedAutoencoder, optimizer: torch.optim.Adam, seed: int = 0) -> None:
    Resampling().resample(sae, optimizer, INPUTS, 3.0, DEAD, generator_for(seed))


def test_dead_units_point_at_inputs_with_the_norms_of_the_recipe() -> None:
    sae, optimizer = trained()
    norms = [weight.detach()[~DEAD].norm(dim=1).mean() for weight in (sae.W_enc, sae.W_dec)]
    resample(sae, optimizer)
    seen = INPUTS - sae.b_pre.detach()
    directions = seen / seen.norm(dim=1, keepdim=True)
    for weight, norm in zip((sae.W_enc, sae.W_dec), (0.2 * norms[0], norms[1]), strict=True):
        rows = weight.detach()[UNITS]
        torch.testing.assert_close(rows.norm(dim=1), norm.expand(4))
        nearest = (rows / rows.norm(dim=1, keepdim=True)) @ directions.T
        torch.testing.assert_close(nearest.amax(1), torch.ones(4))
    torch.testing.assert_close(5 * norms[1] / norms[0] * sae.W_enc[UNITS], sae.W_dec[UNITS])
    assert sae.b_enc[UNITS].tolist() == [0, 0, 0, 0]


def test_live_units_and_their_moments_stay() -> None:
    (sae, optimizer), (before, old) = trained(), trained()
    resample(sae, optimizer)
    for name in ("W_enc", "W_dec", "b_enc"):
        now, then = getattr(sae, name), getattr(before, name)
        assert torch.equal(now[~DEAD], then[~DEAD])
        for moment in ("exp_avg", "exp_avg_sq"):
            kept, first = optimizer.state[now][moment], old.state[then][moment]
            assert torch.equal(kept[~DEAD], first[~DEAD])
            assert float(kept[DEAD].abs().sum()) == 0
    assert torch.equal(sae.b_pre, before.b_pre)
    assert sae.silence is not None
    assert sae.silence.steps.tolist() == [0] * 9


def test_the_generator_decides() -> None:
    (one, a), (same, b), (other, c) = trained(), trained(), trained()
    resample(one, a, 1)
    resample(same, b, 1)
    resample(other, c, 2)
    assert torch.equal(one.W_enc, same.W_enc)
    assert not torch.equal(one.W_enc, other.W_enc)


def test_inputs_are_drawn_by_their_squared_loss() -> None:
    """Of 40 inputs two are badly explained, one twice as badly: drawn 1 to 16, the others never."""
    config = SAEConfig(width=2000, sparsifier=TopK(start=1, end=1), revival=Resampling())
    sae = create(config, 3)
    with torch.no_grad():  # the first unit reads and writes the first axis, the rest is silent
        sae.W_enc.zero_()
        sae.W_dec.zero_()
        sae.W_enc[0, 0] = sae.W_dec[0, 0] = 1.0
    inputs = torch.zeros(40, 3)
    inputs[:, 0] = torch.linspace(1, 2, 40)
    inputs[3, 1], inputs[8, 2] = 1.0, 2.0  # squared errors 1 and 4, squared losses 1 and 16
    optimizer = make_optimizer(config, sae)
    sae(inputs, 1.0).unexplained().backward()
    optimizer.step()
    with torch.no_grad():
        sae.W_enc.zero_()
        sae.W_dec.zero_()
        sae.b_pre.zero_()
        sae.b_enc.zero_()
        sae.W_enc[0, 0] = sae.W_dec[0, 0] = 1.0
    dead = torch.arange(2000) > 0
    Resampling().resample(sae, optimizer, inputs, 1.0, dead, generator_for(0))
    rows = sae.W_dec.detach()[1:]
    at_third, at_eighth = (rows[:, 1] > 0).sum(), (rows[:, 2] > 0).sum()
    assert int(at_third + at_eighth) == 1999
    assert float(at_third) == pytest.approx(1999 / 17, rel=0.3)


@pytest.mark.parametrize("dead", [torch.zeros(9), torch.ones(9)])
def test_without_dead_or_without_live_units_nothing_happens(dead: torch.Tensor) -> None:
    (sae, optimizer), (before, _) = trained(), trained()
    Resampling().resample(sae, optimizer, INPUTS, 3.0, dead.bool(), generator_for(0))
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, sae.state_dict()[name])


def test_a_perfect_layer_draws_any_input() -> None:
    sae, optimizer = trained()
    with torch.no_grad():
        sae.W_dec.zero_()
        sae.b_pre.copy_(INPUTS[0])
    same = INPUTS[:1].expand(5, 4)
    Resampling().resample(sae, optimizer, same, 3.0, DEAD, generator_for(0))
    assert bool(sae.W_enc.detach().isfinite().all())


def test_times_are_shares_of_training() -> None:
    due = [epoch for epoch in range(1, 51) if Resampling().is_due(epoch, 50)]
    assert due == [10, 20, 30, 40]
    assert [e for e in range(1, 4) if Resampling().is_due(e, 3)] == [1, 2]
    assert not Resampling().is_due(1, 1)  # never after the last epoch
    assert Resampling().patience(steps_per_epoch=8, epochs=50) == 40
    assert Resampling().patience(steps_per_epoch=1, epochs=1) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"times": ()}, "times is empty"),
        ({"times": (0.5, 1.0)}, r"a share of training is 1\.0, allowed is above 0 and below 1"),
        ({"silent_share": 0.0}, r"a share of training is 0\.0"),
        ({"encoder_norm": 0.0}, r"encoder_norm is 0\.0, allowed is a number above 0"),
    ],
)
def test_wrong_values_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Resampling(**change)  # type: ignore[arg-type]
