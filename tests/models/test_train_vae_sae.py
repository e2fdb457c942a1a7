import itertools
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.data.catalogue import load
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models import train_vae_sae
from seethrough.models.held_out import measure_means, representations
from seethrough.models.train_vae_sae import (
    STATE_FILE,
    make_optimizer,
    precision_of,
    split_images,
    train,
    train_epoch,
)
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import VAESAE, PathLayer
from seethrough.training.checkpoint import TrainingDivergedError, below, load_checkpoint
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.initialise import generator_for
from seethrough.training.timing import TIMING_FILE

TOP_K = PathLayer(width=40, sparsifier=TopK(start=30, end=4))
SOFT = PathLayer(width=40, sparsifier=L1(coefficient=0.3))
CHECKPOINT = Path("checkpoint") / STATE_FILE


def folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def same_tensors(one: Path, other: Path) -> bool:
    """Compare the tensors' bytes alone: the header of a state also holds the seconds it took."""
    a, b = ({n: t.numpy().tobytes() for n, t in load_file(file).items()} for file in (one, other))
    return a == b


def records(run: Path) -> dict[str, bytes]:
    """Return the files of a run's record."""
    files = (run / "recording").glob("*")
    return {file.name: file.read_bytes() for file in sorted(files)}


def same_run(one: Path, other: Path) -> bool:
    return (
        same_tensors(one / STATE_FILE, other / STATE_FILE)
        and (one / HISTORY_FILE).read_bytes() == (other / HISTORY_FILE).read_bytes()
        and records(one) == records(other)
    )


def read(run: Path) -> History:
    state = load_file(run / HISTORY_FILE)
    del state["pictures/originals"]
    return History.from_state(state)


def stop_everywhere(monkeypatch: pytest.MonkeyPatch, run: Callable[[], None]) -> int:
    """Call `run` until it ends, stopping it once at every point of every epoch.

    A run is stopped before an epoch's first step, after it is recorded and after it is saved.
    Returns how often it was stopped.
    """
    passed: set[tuple[str, object]] = set()

    def stopping(name: str, before: bool, epoch_of: Callable[..., object]) -> None:
        function = getattr(train_vae_sae, name)

        def wrapped(*arguments: Any) -> Any:
            point = (name, epoch_of(*arguments))
            result = None if before and point not in passed else function(*arguments)
            if point not in passed:
                passed.add(point)
                raise KeyboardInterrupt
            return result

        monkeypatch.setattr(train_vae_sae, name, wrapped)

    stopping("train_epoch", True, lambda *arguments: arguments[-1])
    stopping("record_epoch", False, lambda path, *_: path.name)
    stopping("save_checkpoint", False, lambda *arguments: arguments[4])
    times = 0
    while True:
        try:
            run()
        except KeyboardInterrupt:
            times += 1
        else:
            monkeypatch.undo()
            return times


def spoil_gradient(optimizer: torch.optim.Optimizer) -> None:
    """Make one number of the last gradient NaN, as its parameter is after the step."""
    optimizer.param_groups[-1]["params"][-1].grad.view(-1)[0] = math.nan


def overshoot(optimizer: torch.optim.Optimizer) -> None:
    """Take a step so large that finite parameters give no finite loss."""
    for group in optimizer.param_groups:
        group["lr"] = 1e12


def harm_before_step(
    monkeypatch: pytest.MonkeyPatch, harm: Callable[[torch.optim.Optimizer], None], step: int
) -> None:
    """Call `harm` on the optimiser before one step, counted from 1 over all epochs."""
    make, steps = train_vae_sae.make_optimizer, itertools.count(1)

    def harmed(*arguments: Any) -> torch.optim.Adam:
        optimizer = make(*arguments)
        optimizer.register_step_pre_hook(
            lambda *_: harm(optimizer) if next(steps) == step else None
        )
        return optimizer

    monkeypatch.setattr(train_vae_sae, "make_optimizer", harmed)


def test_split_is_disjoint_and_seeded(dsprites: FactorDataset, config: TrainingConfig) -> None:
    images, held = split_images(dsprites, config)
    assert images.shape == (24, 1, 64, 64)
    assert held.images.shape == (20, 1, 64, 64)
    assert torch.equal(dsprites.images(dsprites.index(held.classes)), held.images)
    order = torch.randperm(len(dsprites), generator=generator_for(0, "images"))
    assert torch.equal(dsprites.images(order[:24]), images)
    assert torch.equal(dsprites.classes(order[24:44]), held.classes)
    other, _ = split_images(dsprites, replace(config, seed=1))
    assert not torch.equal(images, other)


def test_more_images_than_exist_are_refused(
    dsprites: FactorDataset, config: TrainingConfig
) -> None:
    with pytest.raises(ValueError, match="n_train . n_heldout is 737281, .*at most 737280 .dSpr"):
        split_images(dsprites, replace(config, n_train=737261))


@pytest.mark.parametrize("layer", [None, TOP_K, SOFT])
def test_epoch_is_the_plain_loop(
    dsprites: FactorDataset, config: TrainingConfig, layer: PathLayer | None
) -> None:
    """A replica with unfused Adam and the loss written out gives the same losses and weights."""
    config = replace(config, layer=layer, beta=4.0)
    images, _ = split_images(dsprites, config)
    model, replica = VAESAE(1, layer, 0), VAESAE(1, layer, 0)
    record = train_epoch(model, make_optimizer(model, config), images, 1, config, epoch=2)

    optimizer = torch.optim.Adam(replica.parameters(), lr=1e-3, foreach=False)
    generator = generator_for(config.seed, "epoch", 2)
    order = torch.randperm(24, generator=generator)
    seen_hidden, seen_mean = [], []
    for number, rows in enumerate((order[:16], order[16:])):
        x = images[rows].float()
        noise = torch.randn(len(rows), 10, generator=generator)
        h = replica.vae.trunk(x)
        code, penalty = path_by_hand(replica, h)
        mean, log_variance = replica.vae.head(code).split(10, dim=1)
        logits = replica.vae.decoder(mean + (log_variance / 2).exp() * noise)
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3)).mean()
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        loss = bce + 4 * kl + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        by_hand = torch.stack([loss, bce, kl, penalty]).detach()
        torch.testing.assert_close(record.losses[number], by_hand, rtol=1e-4, atol=1e-4)
        seen_hidden.append(h.detach())
        seen_mean.append(mean.detach())
    torch.testing.assert_close(record.hidden, torch.cat(seen_hidden), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(record.mean, torch.cat(seen_mean), rtol=1e-3, atol=1e-4)
    for one, other in zip(model.parameters(), replica.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def path_by_hand(model: VAESAE, h: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the heads read, and the penalty, in epoch 2 of 3: k is 17, lambda 0.15."""
    sae, layer = model.sae, model.layer
    if sae is None or layer is None:
        return h, torch.zeros(())
    code = F.relu((h - sae.b_pre) @ sae.W_enc.T + sae.b_enc)
    if isinstance(layer.sparsifier, TopK):
        cut = code.sort(dim=1, descending=True).values[:, 16:17]
        return torch.where(code >= cut, code, 0.0) @ sae.W_dec + sae.b_pre, torch.zeros(())
    norms = sae.W_dec.square().sum(1).sqrt()
    return code @ sae.W_dec + sae.b_pre, 0.15 * (code * norms).sum(1).mean()


def test_what_is_written(dsprites: FactorDataset, in_path: TrainingConfig, workspace: Path) -> None:
    """The last measurements are those of the model that is kept."""
    train(in_path, workspace, dsprites)
    model = VAESAE(1, in_path.layer, seed=1)
    model.load_state_dict(below(load_file(workspace / STATE_FILE), "model/"))
    _, held = split_images(dsprites, in_path)
    with thread_count(1):
        found = representations(model, held.images, 1, 4.0)
        scores = measure_means(model.vae, found.mean, held, in_path.seed)
    assert found.layer is not None
    history = read(workspace)
    assert (history.n_heldout, history.epochs) == (20, 3)
    assert history.scalars["level"] == [30, 17, 4]
    assert {name: history.scalars[name][-1] for name in scores} == scores
    assert history.scalars["reconstruction"][-1] == scores["reconstruction_own"]
    fired = (found.layer.code > 0).sum(0)
    assert torch.equal(history.activity(-1).fired_count, fired)
    assert history.scalars["active"][-1] == int(fired.sum()) / 20 <= 4
    originals = load_file(workspace / HISTORY_FILE)["pictures/originals"]
    assert torch.equal(originals, 255 * held.images[:8])
    assert json.loads((workspace / TIMING_FILE).read_text())["seconds"] > 0


def test_a_vae_has_a_record_and_a_layer_in_the_path_has_none(
    dsprites: FactorDataset, config: TrainingConfig, in_path: TrainingConfig, tmp_path: Path
) -> None:
    plain, layered = folder(tmp_path, "plain"), folder(tmp_path, "layered")
    train(config, plain, dsprites)
    train(in_path, layered, dsprites)
    assert list(records(plain)) == [f"epoch_000{epoch}.safetensors" for epoch in (1, 2, 3)]
    assert not (layered / "recording").exists()
    assert "active" not in read(plain).scalars
    assert not [name for name in read(plain).tensors if name.startswith("units/")]


def test_scores_come_in_some_epochs(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path
) -> None:
    train(replace(config, n_train=16), workspace, dsprites)
    history = read(workspace)
    assert history.measured("mig_mean")[0] == [1, 3]
    assert history.measured("train_reconstruction")[0] == [1, 2, 3]
    assert len(history.tensors["pictures/own"]) == 2


@pytest.mark.parametrize(("layer", "points"), [(None, 9), (TOP_K, 6), (SOFT, 6)])
def test_stopped_anywhere_and_resumed_gives_the_same_bytes(
    dsprites: FactorDataset,
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layer: PathLayer | None,
    points: int,
) -> None:
    config = replace(config, layer=layer)
    whole, pieces = folder(tmp_path, "whole"), folder(tmp_path, "pieces")
    train(config, whole, dsprites)
    times = stop_everywhere(monkeypatch, lambda: train(config, pieces, dsprites))
    assert times == points  # two or three points in each of three epochs
    assert same_run(whole, pieces)


@pytest.mark.parametrize("layer", [None, TOP_K])
def test_extra_epochs_go_on_where_the_squeeze_ended(
    dsprites: FactorDataset,
    config: TrainingConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layer: PathLayer | None,
) -> None:
    """As if they had followed at once, also if they are stopped on the way."""
    config = replace(config, layer=layer, epochs=2, extra_epochs=2)
    whole, begun, longer = (folder(tmp_path, name) for name in ("whole", "begun", "longer"))
    train(config, whole, dsprites)
    train(config.squeeze(), begun, dsprites)
    before = (begun / STATE_FILE).read_bytes()
    times = stop_everywhere(monkeypatch, lambda: train(config, longer, dsprites, begun))
    assert times == (6 if layer is None else 4)  # only two epochs are trained
    assert same_tensors(whole / STATE_FILE, longer / STATE_FILE)
    assert (whole / HISTORY_FILE).read_bytes() == (longer / HISTORY_FILE).read_bytes()
    assert records(begun) | records(longer) == records(whole)
    assert not records(begun).keys() & records(longer).keys()
    assert (begun / STATE_FILE).read_bytes() == before


def test_killed_and_resumed_gives_the_same_bytes(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path
) -> None:
    config = replace(config, epochs=8)
    whole, killed = folder(tmp_path, "whole"), folder(tmp_path, "killed")
    train(config, whole, dsprites)
    script = (
        "from pathlib import Path\n"
        "from seethrough.data.catalogue import load\n"
        "from seethrough.models.train_vae_sae import train\n"
        "from seethrough.models.training_config import TrainingConfig\n"
        f"train({config!r}, Path({str(killed)!r}), load('dsprites'))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (killed / CHECKPOINT).exists() and time.monotonic() < deadline:
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / STATE_FILE).exists()
    train(config, killed, dsprites)
    assert same_run(whole, killed)


def test_training_lowers_the_loss(
    dsprites: FactorDataset, in_path: TrainingConfig, workspace: Path
) -> None:
    train(replace(in_path, epochs=6, learning_rate=3e-3), workspace, dsprites)
    history = read(workspace)
    reconstruction = history.scalars["train_reconstruction"]
    assert reconstruction[-1] < 0.5 * reconstruction[0]
    assert history.scalars["level"] == [30, 25, 20, 14, 9, 4]
    active = history.scalars["active"]
    assert all(a <= k for a, k in zip(active, history.scalars["level"], strict=True))


@pytest.mark.parametrize("layer", [None, TOP_K, SOFT])
def test_a_large_learning_rate_diverges(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path, layer: PathLayer | None
) -> None:
    named = r"^the loss is (nan|inf) in epoch 1, batch 2 of 2, at learning rate 1e\+30: lower it"
    with pytest.raises(TrainingDivergedError, match=named):
        train(replace(config, layer=layer, learning_rate=1e30), workspace, dsprites)
    assert not (workspace / STATE_FILE).exists()


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_divergence_leaves_the_last_good_state(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, wrong: float,
) -> None:  # fmt: skip
    """Two epochs pass, the third goes wrong; with the old learning rate it goes on from there."""
    whole, broken = folder(tmp_path, "whole"), folder(tmp_path, "broken")
    train(config, whole, dsprites)
    function = train_vae_sae.train_epoch

    def diverge(*arguments: Any) -> Any:
        record = function(*arguments)
        if arguments[-1] == 3:
            record.losses[1, 0] = wrong
        return record

    monkeypatch.setattr(train_vae_sae, "train_epoch", diverge)
    named = (
        rf"^the loss is {wrong} in epoch 3, batch 2 of 2, at learning rate 0\.001: lower it; the "
        r"state after epoch 2 is kept$"
    )
    with pytest.raises(TrainingDivergedError, match=named):
        train(config, broken, dsprites)
    monkeypatch.undo()
    assert not (broken / STATE_FILE).exists()
    kept = load_file(broken / CHECKPOINT)
    assert all(tensor.isfinite().all() for tensor in below(kept, "model/").values())
    train(config, broken, dsprites)
    assert same_run(whole, broken)


@pytest.mark.parametrize("harm", [spoil_gradient, overshoot])
@pytest.mark.parametrize("layer", [None, TOP_K])
def test_an_epoch_whose_last_step_breaks_the_parameters_is_not_kept(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, layer: PathLayer | None,
    harm: Callable[[torch.optim.Optimizer], None],
) -> None:  # fmt: skip
    """Every loss of epoch 2 is finite. A later run goes on after epoch 1."""
    config = replace(config, layer=layer)
    whole, broken = folder(tmp_path, "whole"), folder(tmp_path, "broken")
    train(config, whole, dsprites)
    harm_before_step(monkeypatch, harm, step=4)
    named = (
        r"^parameters or their loss are not finite after epoch 2, batch 2 of 2, at learning rate "
        r"0\.001: lower it; the state after epoch 1 is kept$"
    )
    with pytest.raises(TrainingDivergedError, match=named):
        train(config, broken, dsprites)
    monkeypatch.undo()
    assert not (broken / STATE_FILE).exists()
    kept, model = load_file(broken / CHECKPOINT), VAESAE(1, layer, 0)
    assert all(kept[name].isfinite().all() for name in kept if "history/" not in name)
    following, _, _ = load_checkpoint(broken / CHECKPOINT, model, make_optimizer(model, config))
    assert following == 2
    train(config, broken, dsprites)
    assert same_run(whole, broken)


def test_parameters_are_checked_even_if_their_loss_is_finite(
    dsprites: FactorDataset, in_path: TrainingConfig, workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    harm_before_step(monkeypatch, spoil_gradient, step=2)
    monkeypatch.setattr(train_vae_sae, "first_loss", lambda *_: torch.zeros(()))
    named = r"^parameters .* after epoch 1, batch 2 of 2, .*; no epoch was saved before$"
    with pytest.raises(TrainingDivergedError, match=named):
        train(in_path, workspace, dsprites)
    assert not (workspace / CHECKPOINT).exists()


@pytest.mark.parametrize("layer", [None, TOP_K, SOFT])
def test_the_loss_after_an_epoch_is_that_of_the_first_images(
    dsprites: FactorDataset, config: TrainingConfig, layer: PathLayer | None
) -> None:
    config = replace(config, layer=layer, beta=4.0)
    images, _ = split_images(dsprites, config)
    model = VAESAE(1, layer, 0)
    parts = model.losses(images[:16].float(), config.level(2), torch.zeros(16, 10))
    expected = parts.elbo.reconstruction + 4 * parts.elbo.divergence + parts.penalty
    found = train_vae_sae.first_loss(model, images, 1, config, epoch=2)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected.detach())


@pytest.mark.parametrize("layer", [None, TOP_K])
def test_bfloat16_is_finite_and_the_same_twice(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path, layer: PathLayer | None
) -> None:
    config = replace(config, layer=layer, precision="bfloat16")
    one, other, exact = (folder(tmp_path, name) for name in ("one", "other", "exact"))
    train(config, one, dsprites)
    train(config, other, dsprites)
    train(replace(config, precision="float32"), exact, dsprites)
    assert same_run(one, other)
    state, history = load_file(one / STATE_FILE), read(one)
    assert {tensor.dtype for tensor in below(state, "model/").values()} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in state.values() if tensor.ndim > 1)
    rounded, plain = (read(run).scalars["train_reconstruction"] for run in (one, exact))
    assert rounded != plain
    assert rounded == pytest.approx(plain, rel=0.05)
    assert all(map(math.isfinite, history.scalars["train_divergence"]))
    if layer is not None:
        assert all(
            a <= k for a, k in zip(history.scalars["active"], history.scalars["level"], strict=True)
        )


def test_precision_is_that_of_the_configuration(config: TrainingConfig) -> None:
    for precision, dtype in (("float32", torch.float32), ("bfloat16", torch.bfloat16)):
        with precision_of(replace(config, precision=precision)):
            assert torch.nn.Linear(3, 2)(torch.ones(1, 3)).dtype == dtype


def test_training_leaves_torch_as_it_was(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path
) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    train(replace(config, epochs=1, threads=threads + 1), workspace, dsprites)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", ["dsprites_rgb", "dsprites_hued"])
def test_colour_images_train_too(config: TrainingConfig, workspace: Path, name: str) -> None:
    train(replace(config, dataset=name, n_train=16, epochs=1), workspace, load(name))
    assert below(load_file(workspace / STATE_FILE), "model/")["vae.trunk.0.weight"].shape[1] == 3
    originals = load_file(workspace / HISTORY_FILE)["pictures/originals"]
    assert originals.shape == (8, 3, 64, 64)
    assert originals.max() > 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_device_trains_as_the_cpu_does(
    dsprites: FactorDataset, in_path: TrainingConfig, tmp_path: Path, precision: str
) -> None:
    cpu, cuda = folder(tmp_path, "cpu"), folder(tmp_path, "cuda")
    train(in_path, cpu, dsprites)
    train(replace(in_path, device="cuda", precision=precision), cuda, dsprites)
    # starts and images agree; orders and noise have their own streams
    assert read(cuda).scalars["train_reconstruction"] == pytest.approx(
        read(cpu).scalars["train_reconstruction"], rel=0.3
    )
