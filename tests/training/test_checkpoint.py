from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from seethrough.training import checkpoint
from seethrough.training.checkpoint import (
    TrainingDivergedError,
    below,
    check_finite,
    contiguous,
    load_checkpoint,
    save_checkpoint,
)
from seethrough.training.history import History
from seethrough.training.initialise import generator_for, reset_parameters

GOOD = [torch.zeros(2)]


def model(seed: int = 0) -> nn.Sequential:
    """A convolution in channels-last order, whose strides are not those of a saved tensor."""
    layers = nn.Sequential(nn.Conv2d(3, 4, 2), nn.Flatten(), nn.Linear(4 * 9, 2))
    reset_parameters(layers, generator_for(seed))
    return layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def adam(of: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(of.parameters(), lr=0.1, fused=True)


def steps(of: nn.Module, optimizer: torch.optim.Adam, numbers: range) -> None:
    for number in numbers:
        images = torch.randn(5, 3, 4, 4, generator=generator_for(number, "images"))
        optimizer.zero_grad()
        of(images).square().sum().backward()
        optimizer.step()


def history(epochs: int) -> History:
    measured = History(20)
    for epoch in range(epochs):
        measured.append({"level": float(epoch)}, {"units/relu_count": torch.tensor([epoch])})
    return measured


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def test_training_goes_on_with_the_same_bytes(tmp_path: Path) -> None:
    whole = model()
    optimizer = adam(whole)
    steps(whole, optimizer, range(3))
    save_checkpoint(tmp_path / "state.safetensors", whole, optimizer, history(3), 3, 1.5)
    steps(whole, optimizer, range(3, 6))

    resumed = model(seed=1)
    again = adam(resumed)
    load_checkpoint(tmp_path / "state.safetensors", resumed, again)
    steps(resumed, again, range(3, 6))
    assert same(whole.state_dict(), resumed.state_dict())
    for one, other in zip(optimizer.state.values(), again.state.values(), strict=True):
        assert same(one, other)


def test_moments_have_the_strides_of_their_parameter(tmp_path: Path) -> None:
    one, other = model(), model(seed=1)
    optimizer, again = adam(one), adam(other)
    steps(one, optimizer, range(1))
    save_checkpoint(tmp_path / "state.safetensors", one, optimizer, history(1), 1, 0.0)
    load_checkpoint(tmp_path / "state.safetensors", other, again)
    assert not next(other.parameters()).is_contiguous()
    for parameter in other.parameters():
        assert again.state[parameter]["exp_avg"].stride() == parameter.stride()
        assert again.state[parameter]["exp_avg_sq"].stride() == parameter.stride()


def test_what_comes_back(tmp_path: Path) -> None:
    """The epoch after the saved one, the seconds spent, and the measurements so far."""
    one = model()
    optimizer = adam(one)
    save_checkpoint(tmp_path / "deep" / "state.safetensors", one, optimizer, history(7), 7, 12.25)
    following, seconds, measured = load_checkpoint(
        tmp_path / "deep" / "state.safetensors", one, optimizer
    )
    assert (following, seconds) == (8, 12.25)
    assert same(measured.state(), history(7).state())


def test_the_learning_rate_is_that_of_the_optimiser(tmp_path: Path) -> None:
    one = model()
    optimizer = adam(one)
    steps(one, optimizer, range(1))
    save_checkpoint(tmp_path / "state.safetensors", one, optimizer, history(1), 1, 0.0)
    slower = torch.optim.Adam(one.parameters(), lr=0.001, fused=True)
    load_checkpoint(tmp_path / "state.safetensors", one, slower)
    assert slower.param_groups[0]["lr"] == 0.001


def test_a_model_of_another_shape_is_refused(tmp_path: Path) -> None:
    one = model()
    save_checkpoint(tmp_path / "state.safetensors", one, adam(one), history(1), 1, 0.0)
    other = nn.Sequential(nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match="Linear|size mismatch|Missing|Unexpected"):
        load_checkpoint(tmp_path / "state.safetensors", other, adam(other))


@pytest.mark.parametrize("dies_in", ["save_file", "replace"])
def test_a_process_that_dies_while_saving_leaves_the_state_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    path = tmp_path / "state.safetensors"
    one = model()
    optimizer = adam(one)
    save_checkpoint(path, one, optimizer, history(1), 1, 0.0)
    before = path.read_bytes()

    def die(*arguments: object) -> None:
        if dies_in == "save_file":
            Path(str(arguments[1])).write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint if dies_in == "save_file" else checkpoint.os, dies_in, die)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(path, one, optimizer, history(2), 2, 0.0)
    monkeypatch.undo()
    assert path.read_bytes() == before
    save_checkpoint(path, one, optimizer, history(2), 2, 0.0)
    assert load_checkpoint(path, one, optimizer)[0] == 3
    assert [file.name for file in tmp_path.iterdir()] == ["state.safetensors"]


def test_the_file_holds_plain_tensors(tmp_path: Path) -> None:
    one = model()
    optimizer = adam(one)
    steps(one, optimizer, range(1))
    save_checkpoint(tmp_path / "state.safetensors", one, optimizer, history(1), 1, 0.0)
    with safe_open(tmp_path / "state.safetensors", framework="pt") as file:
        names = set(file.keys())
        assert torch.equal(file.get_tensor("model/0.weight"), one[0].weight)
    parameters = {f"model/{name}" for name in one.state_dict()}
    slots = {f"adam/{n}/{slot}" for n in range(4) for slot in ("exp_avg", "exp_avg_sq", "step")}
    measured = {"history/n_heldout", "history/scalars/level", "history/units/relu_count"}
    assert names == parameters | slots | measured


def test_finite_losses_pass() -> None:
    """So do parameters whose sum or norm would overflow."""
    losses, after = torch.tensor([1e30, -1e30, 0.0]), [torch.full((4,), 3e38), torch.zeros(())]
    check_finite(losses, after, epoch=1, learning_rate=1e-3, kept=0)


@pytest.mark.parametrize(
    ("losses", "named"),
    [
        ([1.0, float("nan"), float("inf")], "the loss is nan in epoch 12, batch 2 of 3"),
        ([1.0, 2.0, float("inf")], "the loss is inf in epoch 12, batch 3 of 3"),
        ([-float("inf"), 2.0, 1.0], "the loss is -inf in epoch 12, batch 1 of 3"),
    ],
)
def test_the_first_wrong_loss_is_named(losses: list[float], named: str) -> None:
    with pytest.raises(TrainingDivergedError) as caught:
        check_finite(torch.tensor(losses), GOOD, epoch=12, learning_rate=0.5, kept=10)
    assert str(caught.value).startswith(named)
    assert "at learning rate 0.5: lower it; the state after epoch 10 is kept" in str(caught.value)


def test_a_loss_that_is_wrong_before_anything_was_saved() -> None:
    with pytest.raises(TrainingDivergedError, match="lower it; no epoch was saved before$"):
        check_finite(torch.tensor([float("nan")]), GOOD, epoch=1, learning_rate=0.5, kept=0)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 1])
def test_what_is_wrong_after_the_last_step_names_that_step(wrong: float, place: int) -> None:
    after = [torch.ones(3, 2), torch.zeros(())]
    after[place].view(-1)[-1] = wrong
    named = (
        r"^parameters or their loss are not finite after epoch 12, batch 2 of 2, at learning rate "
        r"0\.5: lower it; the state after epoch 10 is kept$"
    )
    with pytest.raises(TrainingDivergedError, match=named):
        check_finite(torch.ones(2), after, epoch=12, learning_rate=0.5, kept=10)


def test_a_wrong_loss_comes_before_the_parameters_that_it_broke() -> None:
    losses, after = torch.tensor([1.0, float("inf")]), [torch.tensor(float("nan"))]
    with pytest.raises(TrainingDivergedError, match="the loss is inf in epoch 2, batch 2 of 2"):
        check_finite(losses, after, epoch=2, learning_rate=0.5, kept=1)


def test_below_takes_the_prefix_off() -> None:
    state = {"model/a": torch.zeros(1), "adam/a": torch.ones(1), "model/model/b": torch.ones(2)}
    assert {name: len(tensor) for name, tensor in below(state, "model/").items()} == {
        "a": 1,
        "model/b": 2,
    }


def test_contiguous_keeps_values_and_changes_order() -> None:
    """Channels-last strides, a slice and a tensor that wants a gradient all become plain."""
    weights = torch.randn(2, 3, 4, 5, generator=generator_for(0))
    state = {
        "last": weights.to(memory_format=torch.channels_last),
        "slice": weights[:, ::2],
        "learnt": weights.clone().requires_grad_(),
    }
    plain = contiguous(state)
    for name, tensor in plain.items():
        assert tensor.is_contiguous()
        assert not tensor.requires_grad
        assert torch.equal(tensor, state[name])
