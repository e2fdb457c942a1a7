"""Training of masks: step by step, batched, resumed, without a price, and at its two ends."""

import importlib
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seethrough.circuits.circuit_edges import circuit_edges
from seethrough.circuits.circuit_scores import circuit_scores
from seethrough.circuits.class_tasks import ClassTask, balanced_examples, shuffled_examples
from seethrough.circuits.mask_sites import node_layout
from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.masked_forward import masked_logits
from seethrough.circuits.node_mask import active_nodes, initial_tau
from seethrough.circuits.site_means import site_means
from seethrough.circuits.train_masks import batch_rows, train_masks
from seethrough.training.checkpoint import TrainingDivergedError
from seethrough.training.initialise import generator_for

TRAINING = MaskTraining(
    kappas=(1e-3, 0.02), epochs=3, batch_pairs=3, learning_rate=0.05, weight_decay=0.3, clip=0.05
)
"""Nine steps over eight pairs: two of 3 and one of 2 in each epoch."""
module = importlib.import_module("seethrough.circuits.train_masks")
"""The module itself; the package has the function of this name."""
CHECKPOINT = Path("checkpoint") / "masks.safetensors"


@pytest.fixture
def tasks(patterns):
    sets = {"a": (0,), "b or d": (1, 3)}
    generator = torch.Generator().manual_seed(0)
    return [
        balanced_examples(
            patterns, torch.arange(40), ClassTask(name=name, classes=classes), 8, generator
        )
        for name, classes in sets.items()
    ]


@pytest.fixture
def means(small_vit, patterns):
    return site_means(small_vit(), patterns.batches(torch.arange(40), 40))


def test_equals_a_plain_loop_over_one_mask(small_vit, patterns, tasks, means, tmp_path):
    model, layout = small_vit().double(), node_layout(small_vit())
    examples, kappa = tasks[1], 0.02
    tau = initial_tau(layout.n_nodes, generator_for(0, "masks")).requires_grad_()
    optimizer = torch.optim.AdamW([tau], betas=(0.9, 0.95), weight_decay=0.3)
    losses, n_active = [], []
    for step in range(9):
        positives, negatives = batch_rows(8, step, TRAINING)
        index = torch.cat([examples.positives[positives], examples.negatives[negatives]])
        soft = torch.sigmoid(tau)
        gates = soft + ((tau > 0).float() - soft).detach()  # the step, with the sigmoid's slope
        images = patterns.pixels[index].double()
        logits = masked_logits(model, images[None], gates.double()[None], means, layout)[0]
        share = logits.softmax(dim=1)[:, [1, 3]].sum(dim=1)
        n = len(positives)
        loss = -(share[:n].log().mean() + (1 - share[n:]).log().mean()) / 2
        optimizer.zero_grad()
        (loss + kappa * gates.sum()).backward()
        torch.nn.utils.clip_grad_norm_([tau], 0.05)
        optimizer.param_groups[0]["lr"] = 0.05 * (1 - step / 9)
        optimizer.step()
        with torch.no_grad():
            tau.clamp_(-1, 1)
        losses.append(loss.item())
        n_active.append(round(gates.sum().item()))
    found = train_masks(model, patterns, tasks, means, TRAINING, tmp_path)
    torch.testing.assert_close(found.tau[1, 1], tau.detach(), rtol=1e-4, atol=1e-5)
    assert found.losses[:, 1, 1].tolist() == pytest.approx(losses, rel=1e-5)
    assert found.n_active[:, 1, 1].tolist() == n_active
    assert n_active[-1] < n_active[0]


@pytest.mark.parametrize("at_once", [2, 3, 4])
def test_masks_at_once_equal_masks_one_by_one(small_vit, patterns, tasks, means, tmp_path, at_once):
    model = small_vit().double()
    training = replace(TRAINING, epochs=2, masks_per_pass=at_once)
    together = train_masks(model, patterns, tasks, means, training, tmp_path / "together")
    assert together.tau.shape == (2, 2, 176)
    for task, kappa in ((0, 1), (1, 0)):
        alone = train_masks(
            model,
            patterns,
            tasks[task : task + 1],
            means,
            replace(training, kappas=(TRAINING.kappas[kappa],)),
            tmp_path / f"{task} {kappa}",
        )
        torch.testing.assert_close(together.tau[task, kappa], alone.tau[0, 0])
        assert torch.equal(together.n_active[:, task, kappa], alone.n_active[:, 0, 0])
        torch.testing.assert_close(together.losses[:, task, kappa], alone.losses[:, 0, 0])
    assert not torch.equal(together.tau[0, 0], together.tau[1, 0])
    assert not torch.equal(together.tau[0, 0], together.tau[0, 1])


def test_one_seed_gives_the_same_bytes_and_another_does_not(
    small_vit, patterns, tasks, means, tmp_path
):
    runs = [
        train_masks(
            small_vit(), patterns, tasks, means, replace(TRAINING, seed=seed), tmp_path / str(n)
        )
        for n, seed in enumerate((0, 0, 1))
    ]
    first, again, other = (run.tau.numpy().tobytes() for run in runs)
    assert first == again
    assert first != other


def test_a_killed_run_goes_on_to_the_same_bytes(
    small_vit, patterns, tasks, means, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 2)
    whole = train_masks(small_vit(), patterns, tasks, means, TRAINING, tmp_path / "whole")
    step, calls = module.mask_step, 0

    def dies(*arguments):
        nonlocal calls
        calls += 1
        if calls == 6:  # the state after step 4 is kept
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(module, "mask_step", dies)
    with pytest.raises(KeyboardInterrupt):
        train_masks(small_vit(), patterns, tasks, means, TRAINING, tmp_path / "killed")
    resumed = train_masks(small_vit(), patterns, tasks, means, TRAINING, tmp_path / "killed")
    assert calls == 6 + 5
    for name in ("tau", "losses", "n_active"):
        assert getattr(whole, name).numpy().tobytes() == getattr(resumed, name).numpy().tobytes()
    kept = [(tmp_path / run / CHECKPOINT).read_bytes() for run in ("whole", "killed")]
    assert kept[0] == kept[1]
    done = train_masks(small_vit(), patterns, tasks, means, TRAINING, tmp_path / "killed")
    assert calls == 11
    assert torch.equal(done.tau, whole.tau)


def test_every_epoch_reads_each_example_once():
    steps = [batch_rows(8, step, TRAINING) for step in range(9)]
    assert [rows.shape[1] for rows in steps] == [3, 3, 2] * 3
    for epoch in range(3):
        orders = torch.cat(steps[3 * epoch : 3 * epoch + 3], dim=1)
        assert orders.sort(dim=1).values.tolist() == [list(range(8))] * 2
        assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(steps[0], steps[3])


def test_nodes_without_an_effect_go_off_and_stay_on_without_a_price(
    small_vit, patterns, tasks, tmp_path
):
    # Nothing that the first block adds is read by the second, whose norm1 and norm2 are cut off
    # from the channels that it writes: LayerScale of the first block is 0.
    model = small_vit()
    with torch.no_grad():
        model.blocks[0].ls1.gamma.zero_()
        model.blocks[0].ls2.gamma.zero_()
    means = site_means(model, patterns.batches(torch.arange(40), 40))
    training = MaskTraining(kappas=(0.0, 1e-4), epochs=10, batch_pairs=8, learning_rate=0.05)
    found = train_masks(model, patterns, tasks, means, training, tmp_path)
    active = active_nodes(found.tau)
    first = sum(site.n_nodes for site in found.layout.sites[:8])
    assert active[:, 0, :first].all()
    assert not active[:, 1, :first].any()
    assert active[:, 1, first:].any(dim=1).all()


def test_a_price_too_high_leaves_nothing_and_a_loss_of_guessing(
    small_vit, patterns, tasks, means, tmp_path
):
    model = small_vit()
    training = MaskTraining(kappas=(10.0,), epochs=10, batch_pairs=8, learning_rate=0.05)
    found = train_masks(model, patterns, tasks, means, training, tmp_path)
    active = active_nodes(found.tau)
    assert not active.any()
    assert found.n_active[-1].tolist() == [[0], [0]]
    # One answer for all images: softplus(z) + softplus(-z) is at least 2 log 2.
    assert torch.all(found.losses[-1] >= math.log(2) - 1e-6)
    assert circuit_edges(model, active[0, 0], found.layout).n_edges == 0


def test_steps_too_small_keep_everything_and_the_models_own_loss(
    small_vit, patterns, tasks, means, tmp_path
):
    model = small_vit()
    training = MaskTraining(kappas=(0.0, 1e-3), epochs=2, batch_pairs=8, learning_rate=1e-6)
    found = train_masks(model, patterns, tasks, means, training, tmp_path)
    active = active_nodes(found.tau)
    assert active.all()
    assert torch.all(found.n_active == found.layout.n_nodes)
    for number, examples in enumerate(tasks):
        everything = torch.ones(1, found.layout.n_nodes).bool()
        own = circuit_scores(model, patterns, examples, everything, means, found.layout).losses()
        assert found.losses[0, number].tolist() == pytest.approx([float(own)] * 2, rel=1e-4)
    edges = circuit_edges(model, active[0, 0], found.layout)
    assert edges.n_edges == int(edges.weights.sum())


def test_masks_are_learned(small_vit, patterns, tasks, means, tmp_path):
    training = MaskTraining(kappas=(0.0,), epochs=30, batch_pairs=8, learning_rate=0.1)
    found = train_masks(small_vit(), patterns, tasks, means, training, tmp_path)
    # Nothing of the model is trained: nodes that speak against the task are switched off.
    assert torch.all(found.losses[-5:].mean(dim=0) < 0.9 * found.losses[0])
    assert torch.all(found.n_active[-1] < found.layout.n_nodes)
    assert torch.all(found.tau.abs() <= 1)


def test_by_head_and_with_shuffled_labels(small_vit, patterns, tasks, means, tmp_path):
    dealt = [shuffled_examples(e, torch.Generator().manual_seed(2)) for e in tasks]
    training = replace(TRAINING, granularity="head")
    found = train_masks(small_vit(), patterns, dealt, means, training, tmp_path)
    assert found.tau.shape == (2, 2, found.layout.n_nodes)
    assert found.layout.n_nodes == 2 * (4 * 8 + 32 + 3 * 2)
    assert found.losses.isfinite().all()


def test_the_model_is_left_as_it_was(small_vit, patterns, tasks, means, tmp_path):
    model = small_vit().train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train_masks(model, patterns, tasks, means, TRAINING, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_loss_that_is_not_finite_stops_the_run(small_vit, patterns, tasks, means, tmp_path):
    model = small_vit()
    with torch.no_grad():
        model.blocks[1].mlp.fc1.weight[0, 0] = torch.nan
    with pytest.raises(
        TrainingDivergedError,
        match=r"loss is nan in step 1 of task 'a' at kappa 0.001; no step was saved before",
    ):
        train_masks(model, patterns, tasks, means, TRAINING, tmp_path)
    assert not (tmp_path / CHECKPOINT).exists()
    broken = means.clone()
    broken[3] = torch.nan
    with pytest.raises(TrainingDivergedError, match="loss is nan in step 1"):
        train_masks(small_vit(), patterns, tasks, broken, TRAINING, tmp_path)


def test_a_tau_that_is_not_finite_stops_the_run(
    small_vit, patterns, tasks, means, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 2)
    clip, calls = module.clip_rows, 0

    def breaks(tau, limit):
        nonlocal calls
        calls += 1
        clip(tau, limit)
        if calls == 4:
            tau.grad[3, 5] = torch.nan

    monkeypatch.setattr(module, "clip_rows", breaks)
    with pytest.raises(
        TrainingDivergedError,
        match="tau is not finite after step 4 of task 'b or d' at kappa 0.02; the state after "
        "step 2 is kept",
    ):
        train_masks(small_vit(), patterns, tasks, means, TRAINING, tmp_path)
    assert (tmp_path / CHECKPOINT).exists()


def test_what_does_not_fit_is_refused(small_vit, patterns, tasks, means, tmp_path):
    few = balanced_examples(
        patterns, torch.arange(20), tasks[0].task, 2, torch.Generator().manual_seed(0)
    )
    with pytest.raises(ValueError, match=r"one number of positives, got \[2, 8\]"):
        train_masks(small_vit(), patterns, [*tasks, few], means, TRAINING, tmp_path)
    with pytest.raises(ValueError, match=r"one number of positives, got \[\]"):
        train_masks(small_vit(), patterns, [], means, TRAINING, tmp_path)
    with pytest.raises(ValueError, match="has the class 3, allowed is 0 to 2"):
        train_masks(small_vit(num_classes=3), patterns, tasks, means, TRAINING, tmp_path)
    with pytest.raises(ValueError, match="means 175 channels"):
        train_masks(small_vit(), patterns, tasks, means[1:], TRAINING, tmp_path)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_changes_rounding_alone(small_vit, patterns, tasks, means, tmp_path):
    training = replace(TRAINING, learning_rate=1e-4)
    here = train_masks(small_vit(), patterns, tasks, means, training, tmp_path / "cpu")
    there = train_masks(
        small_vit(), patterns, tasks, means, replace(training, device="cuda"), tmp_path / "cuda"
    )
    torch.testing.assert_close(here.losses, there.losses, rtol=1e-2, atol=1e-3)
    assert there.tau.device.type == "cpu"
