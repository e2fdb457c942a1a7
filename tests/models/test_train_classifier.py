"""Training of classifiers: step sizes, resumption to the byte, masks that hold, what is refused."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from safetensors.torch import load_file
from torch import Tensor, nn

from seethrough.data.labelled_images import LabelledImages
from seethrough.models import train_classifier as module
from seethrough.models.accuracy import accuracy
from seethrough.models.train_classifier import (
    ClassifierTraining,
    make_optimizer,
    order,
    train_classifier,
)
from seethrough.pruning.prunable_layers import prunable_layers
from seethrough.training.checkpoint import TrainingDivergedError
from seethrough.training.initialise import generator_for
from seethrough.training.timing import stored_seconds

TRAINING = ClassifierTraining(epochs=2, batch_size=4, learning_rate=1e-2, weight_decay=0.3)
"""Ten steps over INDEX: in each epoch four batches of 4 images and one of 2."""
INDEX = torch.arange(2, 20)
CHECKPOINT = Path("checkpoint") / "classifier.safetensors"
Masks = dict[str, Tensor]


class Patterns(LabelledImages):
    """Five classes, each a pattern of its own under weak noise; keeps what was asked for."""

    def __init__(self, n: int = 20) -> None:
        self.name, self.image_shape = "patterns", (3, 16, 16)
        self.class_names = ("a", "b", "c", "d", "e")
        self.labels = torch.arange(n) % 5
        generator = torch.Generator().manual_seed(0)
        patterns = torch.randn(5, *self.image_shape, generator=generator)
        noise = torch.randn(n, *self.image_shape, generator=generator)
        self.pixels = patterns[self.labels] + 0.3 * noise
        self.asked: list[int] = []

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        self.asked += index.tolist()
        return self.pixels.to(index.device)[index]


@pytest.fixture
def images() -> Patterns:
    return Patterns()


@pytest.fixture
def make(tiny_vit: Callable[..., nn.Module]) -> Callable[[], nn.Module]:
    return lambda: tiny_vit(depth=1)


@pytest.fixture
def masks(make: Callable[[], nn.Module]) -> Masks:
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(layer.weight.shape, generator=generator) > 0.6
        for name, layer in prunable_layers(make()).items()
    }


def contents(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


def before_steps(monkeypatch: pytest.MonkeyPatch, action: Callable[[Any, Any], None]) -> None:
    """Call `action` with model and optimiser before every step."""
    step = module.train_step

    def wrapped(model: Any, optimizer: Any, *rest: Any) -> Tensor:
        action(model, optimizer)
        return step(model, optimizer, *rest)

    monkeypatch.setattr(module, "train_step", wrapped)


def stop_before(monkeypatch: pytest.MonkeyPatch, numbers: set[int]) -> Callable[[Any, Any], None]:
    """Stop the run once before each of these steps, counted from 1 over all steps taken."""
    taken = [0]

    def action(*_: Any) -> None:
        if taken[0] + 1 in numbers:
            numbers.remove(taken[0] + 1)
            raise KeyboardInterrupt
        taken[0] += 1

    before_steps(monkeypatch, action)
    return action


def test_step_sizes_by_hand() -> None:
    """Ten steps, two of them rising: 1/2 and all of 0.8, then 0.4 (1 + cos(pi k / 8)), k from 0."""
    training = ClassifierTraining(epochs=2, batch_size=4, learning_rate=0.8, warmup=0.2)
    assert training.steps(18) == training.steps(20) == 10
    assert training.steps(21) == 12
    rates = [training.rate(step, 10) for step in range(10)]
    half = math.sqrt(0.5)  # cos(pi / 4)
    assert [rates[i] for i in (0, 1, 2, 4, 6, 8)] == pytest.approx(
        [0.4, 0.8, 0.8, 0.4 * (1 + half), 0.4, 0.4 * (1 - half)]
    )
    assert rates[9] == pytest.approx(0.030448, abs=1e-6)  # 0.4 (1 - 0.923880)
    assert rates[2:] == sorted(rates[2:], reverse=True)


def test_step_sizes_without_warmup_and_with_nothing_else() -> None:
    falling = ClassifierTraining(learning_rate=1.0, warmup=0.0)
    assert falling.rate(0, 4) == falling.rate(1, 4) == 1.0
    assert falling.rate(0, 1) == 1.0
    rising = ClassifierTraining(learning_rate=1.0, warmup=1.0)
    assert [rising.rate(step, 4) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]


def test_every_step_has_its_size(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    before_steps(monkeypatch, lambda _, o: seen.extend({g["lr"] for g in o.param_groups}))
    train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    assert seen == [TRAINING.rate(step, 10) for step in range(10)]


def test_an_epoch_is_one_permutation(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    first, second = images.asked[:18], images.asked[18:]
    assert first == INDEX[order(18, 0, 0)].tolist()
    assert sorted(first) == sorted(second) == INDEX.tolist()
    assert first != second
    assert not torch.equal(order(18, 0, 0), order(18, 1, 0))


def test_training_is_the_plain_loop(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    """A replica with AdamW and the smoothed cross-entropy written out."""
    model, replica = make(), make()
    losses = train_classifier(model, images, INDEX, TRAINING, tmp_path)
    moments = [(torch.zeros_like(p), torch.zeros_like(p)) for p in replica.parameters()]
    by_hand: list[Tensor] = []
    for epoch in range(2):
        for rows in INDEX[order(18, 0, epoch)].split(4):
            log_p = replica(images.pixels[rows]).log_softmax(1)
            own = log_p[torch.arange(len(rows)), images.labels[rows]]
            loss = -(0.9 * own + 0.1 * log_p.mean(1)).mean()
            gradients = torch.autograd.grad(loss, list(replica.parameters()))
            by_hand.append(loss.detach())
            rate, t = TRAINING.rate(len(by_hand) - 1, 10), len(by_hand)
            with torch.no_grad():
                for p, g, (m, v) in zip(replica.parameters(), gradients, moments, strict=True):
                    m.mul_(0.9).add_(0.1 * g)
                    v.mul_(0.999).add_(0.001 * g * g)
                    p.mul_(1 - rate * (0.3 if p.ndim > 1 else 0.0))
                    p.sub_(rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8))
    torch.testing.assert_close(losses.float(), torch.stack(by_hand), rtol=1e-3, atol=1e-3)
    expected = dict(replica.named_parameters())
    for name, parameter in model.named_parameters():
        # A bias of all keys alike moves no softmax: its gradient is rounding, which AdamW blows up.
        if not name.endswith("qkv.bias"):
            torch.testing.assert_close(parameter, expected[name], rtol=5e-3, atol=5e-3)


def test_biases_and_norms_do_not_decay(make: Callable[[], nn.Module]) -> None:
    """With gradients of zero AdamW only decays: a weight is multiplied by 1 - rate x decay."""
    model = make()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    training = ClassifierTraining(learning_rate=0.5, weight_decay=0.25)
    optimizer = make_optimizer(model, training)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    still = {n for n, p in model.named_parameters() if torch.equal(p, before[n])}
    assert {"norm.weight", "head.bias", "blocks.0.ls1.gamma", "blocks.0.norm1.bias"} <= still
    assert still == {n for n in before if n.endswith(("bias", "gamma")) or "norm" in n}
    for name, parameter in model.named_parameters():
        if name not in still:
            torch.testing.assert_close(parameter.detach(), before[name] * (1 - 0.5 * 0.25))


@pytest.mark.parametrize("every", [1, 3, 5, 200])
@pytest.mark.parametrize("masked", [False, True])
def test_stopped_anywhere_and_resumed_gives_the_same_bytes(
    make: Callable[[], nn.Module], images: Patterns, masks: Masks, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, every: int, masked: bool,
) -> None:  # fmt: skip
    """Checkpoints fall into the middle of epochs, on their ends and after the first step."""
    whole, kept = make(), masks if masked else None
    losses = train_classifier(whole, images, INDEX, TRAINING, tmp_path / "whole", kept)
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", every)
    stop_before(monkeypatch, {1, 2, 5, 8, 10})
    for _ in range(5):
        with pytest.raises(KeyboardInterrupt):
            train_classifier(make(), images, INDEX, TRAINING, tmp_path / "cut", kept)
    pieces = make()
    found = train_classifier(pieces, images, INDEX, TRAINING, tmp_path / "cut", kept)
    assert contents(pieces) == contents(whole)
    assert torch.equal(found, losses)
    one, other = (load_file(tmp_path / name / CHECKPOINT) for name in ("whole", "cut"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_resumed_run_takes_only_the_steps_that_are_missing(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before step 9 with checkpoints every 3: steps 7 to 10 follow, two of epoch 2 not."""
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 3)
    stop_before(monkeypatch, {9})
    with pytest.raises(KeyboardInterrupt):
        train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    images.asked.clear()
    train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    assert images.asked == INDEX[order(18, 0, 1)][4:].tolist()


def test_seconds_of_all_parts_are_counted(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that a step moves by a second; a checkpoint every 3 of the 10 steps, stopped at 9.

    Steps 7 and 8 of the first part were lost and are not counted.
    """
    clock = [0.0]
    take_step = module.train_step

    def step_of_a_second(*arguments: Any) -> torch.Tensor:
        clock[0] += 1
        return take_step(*arguments)

    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 3)
    monkeypatch.setattr(module, "train_step", step_of_a_second)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stop_before(monkeypatch, {9})
    with pytest.raises(KeyboardInterrupt):
        train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    clock[0] += 1000  # nobody waits for a stopped run
    train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    assert stored_seconds(tmp_path) == 10


def test_a_finished_run_is_not_trained_again(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    whole, again = make(), make()
    losses = train_classifier(whole, images, INDEX, TRAINING, tmp_path)
    images.asked.clear()
    assert torch.equal(train_classifier(again, images, INDEX, TRAINING, tmp_path), losses)
    assert images.asked == []
    assert contents(again) == contents(whole)
    assert not list(tmp_path.rglob("*.tmp"))


def test_moments_come_back_in_their_parameters_order_of_memory(
    images: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights whose channels lie last: files are row-major, and the fused step sees raw memory."""

    def make() -> nn.Module:
        convolution = nn.Conv2d(3, 6, 4, stride=4)
        linear = nn.Linear(96, 5)
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in (*convolution.parameters(), *linear.parameters()):
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        convolution.to(memory_format=torch.channels_last)
        return nn.Sequential(convolution, nn.Flatten(), linear)

    assert not make()[0].weight.is_contiguous()  # type: ignore[index]
    whole, pieces = make(), make()
    train_classifier(whole, images, INDEX, TRAINING, tmp_path / "whole")
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 1)
    stop_before(monkeypatch, {6})
    with pytest.raises(KeyboardInterrupt):
        train_classifier(make(), images, INDEX, TRAINING, tmp_path / "cut")
    train_classifier(pieces, images, INDEX, TRAINING, tmp_path / "cut")
    assert contents(pieces) == contents(whole)


def test_pruned_weights_are_zero_after_every_step(
    make: Callable[[], nn.Module], images: Patterns, masks: Masks, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[int] = []

    def look(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        alive = 0
        for name, layer in prunable_layers(model).items():
            tensors = [layer.weight, *optimizer.state.get(layer.weight, {}).values()]
            alive += sum(
                int(t[~masks[name]].count_nonzero())
                for t in tensors
                if t.shape == masks[name].shape
            )
        seen.append(alive)

    before_steps(monkeypatch, look)
    model, start = make(), make()
    train_classifier(model, images, INDEX, TRAINING, tmp_path, masks)
    look(model, make_optimizer(model, TRAINING))
    assert seen == [0] * 11
    before = prunable_layers(start)
    for name, layer in prunable_layers(model).items():
        assert (layer.weight != before[name].weight)[masks[name]].all()
    assert not torch.equal(model.head.weight, start.head.weight)  # type: ignore[arg-type]


def test_masks_that_do_not_fit_are_refused(
    make: Callable[[], nn.Module], images: Patterns, masks: Masks, tmp_path: Path
) -> None:
    wrong = {name.replace("blocks.0", "blocks.7"): mask for name, mask in masks.items()}
    with pytest.raises(ValueError, match=r"belong to no linear layer .* 'blocks.7.attn.qkv'"):
        train_classifier(make(), images, INDEX, TRAINING, tmp_path, wrong)


def test_the_seed_alone_decides(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    found = []
    for number, seed in enumerate((0, 0, 1)):
        torch.manual_seed(number)
        model = make()
        state, threads = torch.random.get_rng_state(), torch.get_num_threads()
        training = replace(TRAINING, seed=seed, threads=threads + 1 if number == 2 else 1)
        train_classifier(model, images, INDEX, training, tmp_path / str(number))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert torch.get_num_threads() == threads
        assert not model.training
        found.append(contents(model))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_separable_images_are_learned(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path, precision: str
) -> None:
    training = ClassifierTraining(
        epochs=6, batch_size=5, learning_rate=1e-2, label_smoothing=0.0, precision=precision
    )
    model = make()
    losses = train_classifier(model, images, torch.arange(20), training, tmp_path)
    assert losses.shape == (24,)
    assert losses[-4:].mean() < 0.3 * losses[:4].mean()
    assert accuracy(model, images, torch.arange(20)).top_1.value >= 0.95
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_divergence_names_the_step_and_leaves_the_last_state(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Step 7 is batch 2 of epoch 2, looked at with step 9; step 6 was kept."""
    whole = make()
    train_classifier(whole, images, INDEX, TRAINING, tmp_path / "whole")
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 3)
    step, numbers = module.train_step, iter(range(1, 11))

    def diverge(*arguments: Any) -> Tensor:
        loss = step(*arguments)
        return loss * math.nan if next(numbers) == 7 else loss

    with monkeypatch.context() as patch:
        patch.setattr(module, "train_step", diverge)
        with pytest.raises(
            TrainingDivergedError,
            match=r"^the loss is nan in epoch 2, batch 2 of 5, at learning rate 0\.01: lower it; "
            r"the state after step 6 is kept$",
        ):
            train_classifier(make(), images, INDEX, TRAINING, tmp_path / "broken")
    again = make()
    train_classifier(again, images, INDEX, TRAINING, tmp_path / "broken")
    assert contents(again) == contents(whole)


def test_divergence_before_the_first_checkpoint(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    """One image is NaN; its batch in the first epoch is the first wrong one."""
    images.pixels[7] = math.nan
    place = INDEX[order(18, 0, 0)].tolist().index(7)
    with pytest.raises(
        TrainingDivergedError,
        match=rf"nan in epoch 1, batch {place // 4 + 1} of 5, .*: lower it; no step was saved",
    ):
        train_classifier(make(), images, INDEX, TRAINING, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()


def test_no_images_are_refused(
    make: Callable[[], nn.Module], images: Patterns, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="training needs at least one image, got none"):
        train_classifier(make(), images, INDEX[:0], TRAINING, tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("epochs", 0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("threads", -1, "at least 1"),
        ("learning_rate", 0.0, "a finite number above 0"),
        ("learning_rate", math.nan, "a finite number above 0"),
        ("weight_decay", -0.1, "at least 0"),
        ("weight_decay", math.inf, "at least 0"),
        ("warmup", 1.5, "a share of the steps, 0 to 1"),
        ("warmup", math.nan, "a share of the steps, 0 to 1"),
        ("label_smoothing", 1.0, "0 to below 1"),
        ("label_smoothing", -0.1, "0 to below 1"),
    ],
)
def test_bad_parameters_are_refused(name: str, value: float, allowed: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} is {value}, allowed is {allowed}$"):
        ClassifierTraining(**{name: value})  # type: ignore[arg-type]


def test_bad_precision_and_device_are_refused() -> None:
    with pytest.raises(ValueError, match="^precision is 'half', allowed: float32, bfloat16$"):
        ClassifierTraining(precision="half")
    with pytest.raises(ValueError, match="^device is 'tpu', allowed are cpu, cuda and cuda:N$"):
        ClassifierTraining(device="tpu")


def test_orders_come_from_named_streams() -> None:
    """Other purposes draw from other streams, so the order is part of what is kept."""
    expected = torch.randperm(9, generator=generator_for(3, "classifier", 1))
    assert torch.equal(order(9, 3, 1), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_trains_as_the_cpu_does(
    make: Callable[[], nn.Module], images: Patterns, masks: Masks, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    expected = train_classifier(make(), images, INDEX, TRAINING, tmp_path / "cpu", masks)
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 3)
    stop_before(monkeypatch, {8})
    training = replace(TRAINING, device="cuda")
    with pytest.raises(KeyboardInterrupt):
        train_classifier(make(), images, INDEX, training, tmp_path / "cuda", masks)
    model = make()
    losses = train_classifier(model, images, INDEX, training, tmp_path / "cuda", masks)
    torch.testing.assert_close(losses, expected, rtol=2e-2, atol=2e-2)
    for name, layer in prunable_layers(model).items():
        assert layer.weight.is_cuda
        assert not layer.weight.cpu()[~masks[name]].any()
