import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seethrough.autoencoders import train_sparse_autoencoder as module
from seethrough.autoencoders.activations import FrozenActivations
from seethrough.autoencoders.active_subspace import ActiveSubspaceStart
from seethrough.autoencoders.aligned import AlignedEncoder
from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.batch_top_k import BatchTopK, BatchTopKModule
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.jump_relu import JumpReLU
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.measure import heldout_output, measure_units
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.sparse_autoencoder import SparseOutput, unexplained_variance
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import (
    MODEL_FILE,
    begin,
    create,
    make_optimizer,
    train_epoch,
    train_sparse_autoencoder,
)
from seethrough.autoencoders.untied_start import UntiedStart
from seethrough.autoencoders.whitening import Whitening
from seethrough.training.checkpoint import TrainingDivergedError, load_checkpoint
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.initialise import generator_for
from seethrough.training.timing import TIMING_FILE

CONFIG = SAEConfig(
    width=12, sparsifier=TopK(start=8, end=3), epochs=12, extra_epochs=10, batch_size=8
)
"""22 epochs of 3 batches, the last of 4 inputs; checkpoints after epochs 10 and 20."""

REMEDIED = {
    "batch_top_k": replace(CONFIG, sparsifier=BatchTopK(start=8, end=3)),
    "jump_relu": replace(CONFIG, sparsifier=JumpReLU(start=8, end=3)),
    "untied": replace(CONFIG, start=UntiedStart()),
    "active_subspace": replace(CONFIG, start=ActiveSubspaceStart()),
    "centred": replace(CONFIG, preparation=MeanCentring()),
    "whitened": replace(CONFIG, preparation=Whitening()),
    "aligned": replace(CONFIG, encoder=AlignedEncoder()),
    "auxk": replace(CONFIG, revival=AuxK(k_aux=2)),
    "ghost_gradients": replace(CONFIG, revival=GhostGradients()),
    "resampling": replace(CONFIG, revival=Resampling(silent_share=0.05)),
}
"""One configuration for each method beside the plain layer."""
each_remedy = pytest.mark.parametrize("config", REMEDIED.values(), ids=REMEDIED)


@pytest.fixture
def source() -> FrozenActivations:
    """Sparse sums of six directions in five dimensions."""
    generator = generator_for(3)
    directions = torch.randn(6, 5, generator=generator)
    factors = torch.rand(40, 6, generator=generator)
    activations = torch.where(factors > 0.6, factors, 0.0) @ directions
    return FrozenActivations(training=activations[:20], held=activations[20:], seed=0)


@dataclass
class Interrupted:
    """A source that fails when it is asked for the training inputs of one epoch."""

    source: FrozenActivations
    epoch: int
    failure: Callable[[Tensor], Tensor]

    @property
    def d_input(self) -> int:
        return self.source.d_input

    def train(self, epoch: int) -> Tensor:
        inputs = self.source.train(epoch)
        return self.failure(inputs) if epoch == self.epoch else inputs

    def heldout(self, epoch: int) -> Tensor:
        return self.source.heldout(epoch)


def stop(inputs: Tensor) -> Tensor:
    raise KeyboardInterrupt


def spoil(inputs: Tensor) -> Tensor:
    """Make one number of the second batch NaN."""
    inputs = inputs.clone()
    inputs[9, 2] = torch.nan
    return inputs


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
    make, steps = module.make_optimizer, itertools.count(1)

    def harmed(*arguments: Any) -> torch.optim.Adam:
        optimizer = make(*arguments)
        optimizer.register_step_pre_hook(
            lambda *_: harm(optimizer) if next(steps) == step else None
        )
        return optimizer

    monkeypatch.setattr(module, "make_optimizer", harmed)


def score(output: SparseOutput, epoch: int) -> tuple[dict[str, float], dict[str, Tensor]]:
    return {"largest": float(output.code.max())}, {"pictures/code": output.reconstruction[:2]}


def folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def read(workspace: Path) -> History:
    return History.from_state(load_file(workspace / HISTORY_FILE))


def same_bytes(one: Path, other: Path) -> bool:
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in (MODEL_FILE, HISTORY_FILE)
    )


@pytest.mark.parametrize(
    "sparsifier", [TopK(start=8, end=4), L1(coefficient=0.3), L1(coefficient=0.0)]
)
def test_epoch_is_the_plain_loop(source: FrozenActivations, sparsifier: TopK | L1) -> None:
    """A replica with unfused Adam and the loss written out gives the same losses and weights."""
    config = replace(CONFIG, sparsifier=sparsifier, epochs=3)
    sae, replica = create(config, 5), create(config, 5)
    inputs, epoch = source.train(2), 2  # halfway: k = 6, lambda = coefficient / 2
    fused = torch.optim.Adam(sae.parameters(), lr=1e-3, fused=True)
    losses = train_epoch(sae, fused, inputs, config, epoch)

    optimizer = torch.optim.Adam(replica.parameters(), lr=1e-3, foreach=False)
    for number, x in enumerate((inputs[:8], inputs[8:16], inputs[16:])):
        z = ((x - replica.b_pre) @ replica.W_enc.T + replica.b_enc).relu()
        penalty = torch.zeros(())
        if isinstance(sparsifier, TopK):
            cut = z.sort(dim=1, descending=True).values[:, 5:6]
            z = torch.where(z >= cut, z, 0.0)
        else:
            norms = replica.W_dec.square().sum(1).sqrt()
            penalty = sparsifier.coefficient / 2 * (z * norms).sum(1).mean()
        error = (z @ replica.W_dec + replica.b_pre - x).square().sum()
        loss = error / (x - x.mean(0)).square().sum() + penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.testing.assert_close(losses[number], loss.detach(), rtol=1e-5, atol=1e-6)
    for one, other in zip(sae.parameters(), replica.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_the_start_is_that_of_seed_and_width() -> None:
    one, other = create(CONFIG, 5), create(replace(CONFIG, sparsifier=L1(coefficient=1.0)), 5)
    assert torch.equal(one.W_enc, other.W_enc)
    assert not torch.equal(one.W_enc, create(replace(CONFIG, seed=1), 5).W_enc)
    assert not torch.equal(one.W_enc, create(replace(CONFIG, width=13), 5).W_enc[:12])


def test_what_is_written(source: FrozenActivations, tmp_path: Path) -> None:
    train_sparse_autoencoder(CONFIG, source, tmp_path, score)
    sae = create(CONFIG, 5)
    sae.load_state_dict(load_file(tmp_path / MODEL_FILE))
    history = read(tmp_path)
    assert (history.n_heldout, history.epochs) == (20, 22)
    assert history.scalars["level"] == [CONFIG.level(epoch) for epoch in range(1, 23)]
    scalars, tensors = measure_units(heldout_output(sae, source.held, 3.0))
    for name, number in scalars.items():
        assert history.scalars[name][-1] == number
    for name, tensor in tensors.items():
        assert torch.equal(history.tensors[name][-1], tensor)
    assert max(history.scalars["active"][11:]) <= 3
    assert json.loads((tmp_path / TIMING_FILE).read_text())["seconds"] > 0


def test_scores_come_in_some_epochs(source: FrozenActivations, tmp_path: Path) -> None:
    """During the squeeze every tenth, its first and last; after it only the last is near."""
    train_sparse_autoencoder(CONFIG, source, tmp_path, score)
    history = read(tmp_path)
    epochs, values = history.measured("largest")
    assert epochs == [1, 10, 12, 22]
    assert values == [float(history.activity(epoch).max_activation.max()) for epoch in epochs]
    assert len(history.tensors["pictures/code"]) == 4


def test_an_unscored_squeeze_is_scored_at_its_end(
    source: FrozenActivations, tmp_path: Path
) -> None:
    one, other = folder(tmp_path, "one"), folder(tmp_path, "other")
    train_sparse_autoencoder(CONFIG, source, one, score)
    train_sparse_autoencoder(replace(CONFIG, scored=False), source, other, score)
    assert read(other).measured("largest")[0] == [22]
    assert (one / MODEL_FILE).read_bytes() == (other / MODEL_FILE).read_bytes()


@pytest.mark.parametrize("sparsifier", [TopK(start=8, end=3), L1(coefficient=0.1)])
def test_stopped_and_resumed_gives_the_same_bytes(
    source: FrozenActivations, tmp_path: Path, sparsifier: TopK | L1
) -> None:
    """Stopped twice each: before any checkpoint, in an epoch that writes one, after it, last."""
    config = replace(CONFIG, sparsifier=sparsifier)
    whole = folder(tmp_path, "whole")
    train_sparse_autoencoder(config, source, whole, score)
    for number, epochs in enumerate(((1, 10), (11, 20), (7, 22))):
        pieces = folder(tmp_path, f"pieces {number}")
        for epoch in epochs:
            with pytest.raises(KeyboardInterrupt):
                train_sparse_autoencoder(config, Interrupted(source, epoch, stop), pieces, score)
        assert not (pieces / MODEL_FILE).exists()
        train_sparse_autoencoder(config, source, pieces, score)
        assert same_bytes(whole, pieces)


@each_remedy
def test_every_remedy_resumes_with_the_same_bytes(
    source: FrozenActivations, tmp_path: Path, config: SAEConfig
) -> None:
    whole, pieces = folder(tmp_path, "whole"), folder(tmp_path, "pieces")
    train_sparse_autoencoder(config, source, whole, score)
    for epoch in (3, 14):
        with pytest.raises(KeyboardInterrupt):
            train_sparse_autoencoder(config, Interrupted(source, epoch, stop), pieces, score)
    train_sparse_autoencoder(config, source, pieces, score)
    assert same_bytes(whole, pieces)


@each_remedy
def test_every_remedy_changes_the_model_and_reads_back(
    source: FrozenActivations, tmp_path: Path, config: SAEConfig
) -> None:
    plain, other = folder(tmp_path, "plain"), folder(tmp_path, "other")
    train_sparse_autoencoder(CONFIG, source, plain, score)
    train_sparse_autoencoder(config, source, other, score)
    state = load_file(other / MODEL_FILE)
    assert not torch.equal(state["W_enc"], load_file(plain / MODEL_FILE)["W_enc"])
    sae = create(config, 5)
    sae.load_state_dict(state)
    scalars, _ = measure_units(heldout_output(sae, source.held, config.level(22)))
    history = read(other)
    assert history.scalars["active"][-1] == scalars["active"]
    assert history.scalars["unexplained"][-1] == scalars["unexplained"]


@each_remedy
def test_what_a_start_takes_from_the_inputs_comes_before_the_first_step(
    source: FrozenActivations, config: SAEConfig
) -> None:
    """Every remedy begins with finite numbers, and the same ones each time."""
    inputs = source.train(1)
    one, other = create(config, 5), create(config, 5)
    begin(config, one, inputs)
    begin(config, other, inputs)
    for name, tensor in one.state_dict().items():
        assert bool(tensor.isfinite().all())
        assert torch.equal(tensor, other.state_dict()[name])
    if isinstance(config.preparation, MeanCentring):
        torch.testing.assert_close(one.b_pre.detach(), inputs.mean(0))


def test_thresholds_have_their_own_step_and_the_checkpoints_order() -> None:
    config = replace(CONFIG, sparsifier=JumpReLU(start=8, end=3, threshold_speed=7.0))
    sae = create(config, 5)
    weights, thresholds = make_optimizer(config, sae).param_groups
    assert (weights["lr"], thresholds["lr"]) == (1e-3, pytest.approx(7e-3))
    ordered = [*weights["params"], *thresholds["params"]]
    assert [id(p) for p in ordered] == [id(p) for p in sae.parameters()]


def test_a_revived_batch_adds_its_loss(source: FrozenActivations) -> None:
    """A replica with every loss written out: a unit is dead after 3 silent batches."""
    config = REMEDIED["auxk"]
    sae, inputs, level = create(config, 5), source.train(2), config.level(9)
    with torch.no_grad():
        sae.b_enc[:6] = -0.3
    replica = create(config, 5)
    replica.load_state_dict(sae.state_dict())
    optimizers = [make_optimizer(config, one) for one in (sae, replica)]
    counts = torch.zeros(12)
    for epoch in range(2):
        losses = train_epoch(sae, optimizers[0], inputs, config, 9)
        for number, batch in enumerate(inputs.split(8)):
            output = replica(batch, level)
            counts = torch.where((output.code > 0).any(0), 0.0, counts + 1)
            dead = (counts >= 3).nonzero()[:, 0]
            residual = (batch - output.reconstruction).detach()
            best = output.relu_code[:, dead].topk(min(2, len(dead)), dim=1)
            code = torch.zeros(len(batch), len(dead)).scatter(1, best.indices, best.values)
            extra = unexplained_variance(code @ replica.W_dec[dead], residual) / 32
            loss = output.unexplained() + (extra if len(dead) else 0.0)
            optimizers[1].zero_grad()
            loss.backward()
            optimizers[1].step()
            torch.testing.assert_close(losses[number], loss.detach(), rtol=1e-5, atol=1e-6)
        assert len(dead) > 0 or epoch == 0
    assert sae.silence is not None
    assert sae.silence.steps.tolist() == counts.tolist()


def test_a_measured_layer_does_not_learn_from_being_measured(source: FrozenActivations) -> None:
    config = REMEDIED["batch_top_k"]
    sae = create(config, 5)
    train_epoch(sae, make_optimizer(config, sae), source.train(1), config, 1)
    assert isinstance(sae.sparsifier, BatchTopKModule)
    before = sae.sparsifier.threshold.clone()
    heldout_output(sae, source.held, 8.0)
    assert torch.equal(sae.sparsifier.threshold, before)
    assert float(before) > 0


def test_the_plain_layer_keeps_no_count_of_silence() -> None:
    assert create(CONFIG, 5).silence is None
    assert set(create(CONFIG, 5).state_dict()) == {"W_enc", "b_enc", "W_dec", "b_pre"}


def test_finished_epochs_are_not_trained_again(source: FrozenActivations, tmp_path: Path) -> None:
    """Stopped in epoch 15 the run goes on after the checkpoint of epoch 10, so 10 is not read."""
    with pytest.raises(KeyboardInterrupt):
        train_sparse_autoencoder(CONFIG, Interrupted(source, 15, stop), tmp_path, score)
    train_sparse_autoencoder(CONFIG, Interrupted(source, 10, stop), tmp_path, score)
    assert read(tmp_path).epochs == 22


def test_divergence_names_its_place_and_keeps_the_last_checkpoint(
    source: FrozenActivations, tmp_path: Path
) -> None:
    whole, broken = folder(tmp_path, "whole"), folder(tmp_path, "broken")
    train_sparse_autoencoder(CONFIG, source, whole, score)
    named = r"the loss is nan in epoch 17, batch 2 of 3, at learning rate 0\.001: .*epoch 10 is"
    with pytest.raises(TrainingDivergedError, match=named):
        train_sparse_autoencoder(CONFIG, Interrupted(source, 17, spoil), broken, score)
    assert not (broken / MODEL_FILE).exists()
    train_sparse_autoencoder(CONFIG, Interrupted(source, 10, stop), broken, score)
    assert same_bytes(whole, broken)


@pytest.mark.parametrize(("epoch", "kept"), [(10, 0), (20, 10), (22, 20)])
@pytest.mark.parametrize("harm", [spoil_gradient, overshoot])
def test_an_epoch_whose_last_step_breaks_the_parameters_is_not_kept(
    source: FrozenActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    harm: Callable[[torch.optim.Optimizer], None], epoch: int, kept: int,
) -> None:  # fmt: skip
    """Every loss of the epoch is finite. A later run goes on from the checkpoint before."""
    whole, broken = folder(tmp_path, "whole"), folder(tmp_path, "broken")
    train_sparse_autoencoder(CONFIG, source, whole, score)
    harm_before_step(monkeypatch, harm, step=3 * epoch)
    stays = f"the state after epoch {kept} is kept" if kept else "no epoch was saved before"
    named = (
        rf"^parameters or their loss are not finite after epoch {epoch}, batch 3 of 3, at learning "
        rf"rate 0\.001: lower it; {stays}$"
    )
    with pytest.raises(TrainingDivergedError, match=named):
        train_sparse_autoencoder(CONFIG, source, broken, score)
    monkeypatch.undo()
    assert not (broken / MODEL_FILE).exists()
    checkpoint = broken / "checkpoint" / "state.safetensors"
    assert checkpoint.exists() == bool(kept)
    if kept:
        state, sae = load_file(checkpoint), create(CONFIG, 5)
        assert all(state[name].isfinite().all() for name in state if "history/" not in name)
        following, _, _ = load_checkpoint(checkpoint, sae, make_optimizer(CONFIG, sae))
        assert following == kept + 1
    train_sparse_autoencoder(CONFIG, source, broken, score)
    assert same_bytes(whole, broken)


@pytest.mark.parametrize("remedy", ["jump_relu", "resampling"])
def test_damage_that_no_loss_shows_stops_the_epoch(
    source: FrozenActivations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, remedy: str
) -> None:
    """A threshold that is NaN silences its unit from the first step on; a NaN is not resampled."""
    step = {"jump_relu": 4, "resampling": 6}[remedy]  # both in epoch 2, when resampling is due
    harm_before_step(monkeypatch, spoil_gradient, step)
    with pytest.raises(TrainingDivergedError, match=r"^parameters .* after epoch 2, batch 3 of 3"):
        train_sparse_autoencoder(REMEDIED[remedy], source, tmp_path, score)


def test_an_infinite_loss_is_named(source: FrozenActivations, tmp_path: Path) -> None:
    named = (
        r"^the loss is inf in epoch 1, batch 2 of 3, at learning rate 1000000000000\.0: lower it; "
        r"no epoch was saved before$"
    )
    with pytest.raises(TrainingDivergedError, match=named):
        train_sparse_autoencoder(replace(CONFIG, learning_rate=1e12), source, tmp_path, score)


def test_a_large_learning_rate_diverges(source: FrozenActivations, tmp_path: Path) -> None:
    named = r"epoch 1, batch 2 of 3, at learning rate 1e\+30: lower it"
    with pytest.raises(TrainingDivergedError, match=named):
        train_sparse_autoencoder(replace(CONFIG, learning_rate=1e30), source, tmp_path, score)
    assert not (tmp_path / MODEL_FILE).exists()


def test_training_explains_more_and_more(source: FrozenActivations, tmp_path: Path) -> None:
    config = replace(
        CONFIG, sparsifier=TopK(start=6, end=6), epochs=40, extra_epochs=0, learning_rate=1e-2
    )
    train_sparse_autoencoder(config, source, tmp_path, score)
    unexplained = read(tmp_path).scalars["unexplained"]
    assert unexplained[-1] < 0.2 * unexplained[0]


def test_a_larger_coefficient_leaves_fewer_units_active(
    source: FrozenActivations, tmp_path: Path
) -> None:
    active = []
    for coefficient in (0.0, 0.1, 10.0):
        workspace = folder(tmp_path, str(coefficient))
        config = replace(
            CONFIG, sparsifier=L1(coefficient=coefficient), epochs=30, learning_rate=1e-2
        )
        train_sparse_autoencoder(config, source, workspace, score)
        active.append(read(workspace).scalars["active"][-1])
    assert active == sorted(active, reverse=True)
    assert active[0] > 2 * active[-1]


def test_training_leaves_torch_as_it_was(source: FrozenActivations, tmp_path: Path) -> None:
    threads, state = torch.get_num_threads(), torch.random.get_rng_state()
    config = replace(CONFIG, epochs=1, extra_epochs=0, threads=threads + 1)
    train_sparse_autoencoder(config, source, tmp_path, score)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_trains_as_the_cpu_does(source: FrozenActivations, tmp_path: Path) -> None:
    cpu, cuda = folder(tmp_path, "cpu"), folder(tmp_path, "cuda")
    train_sparse_autoencoder(CONFIG, source, cpu, score)
    there = replace(source, training=source.training.cuda(), held=source.held.cuda())
    train_sparse_autoencoder(replace(CONFIG, device="cuda"), there, cuda, score)
    torch.testing.assert_close(
        load_file(cpu / MODEL_FILE), load_file(cuda / MODEL_FILE), rtol=0.05, atol=1e-3
    )
