"""Training: a plain dense loop, learning, revived latents, resumption to the byte, refusals."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seethrough.sae.auxk import AuxK
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.reconstruction_scores import reconstruction_scores
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.sae_history import load_history
from seethrough.sae.sparse_autoencoder import load_autoencoder
from seethrough.sae.topk import TopK
from seethrough.sae.train_sae import (
    batches_from,
    begin,
    initial_state,
    train_sae,
    train_step,
)
from seethrough.training.checkpoint import TrainingDivergedError
from seethrough.training.initialise import generator_for
from seethrough.training.timing import stored_seconds

module = importlib.import_module("seethrough.sae.train_sae")

CONFIG = SAEConfig(
    method=BatchTopK(k=2),
    expansion=4,
    steps=9,
    batch_size=40,
    learning_rate=1e-2,
    dead_after=60,
    steps_per_record=4,
)
"""Three passes over 96 inputs: batches of 40, 40 and 16; a latent is dead after two silent ones."""
METHODS = [BatchTopK(k=2), TopK(k=2), L1(coefficient=0.05), JumpReLU(k=2)]


def dense_step(weights, inputs, dead, k, k_aux):
    """Return the loss and the gradients of one BatchTopK step, from the definitions."""
    W_enc, b_enc, W_dec, b_dec = (w.detach().clone().requires_grad_() for w in weights)
    activations = ((inputs - b_dec) @ W_enc.T + b_enc).relu()
    flat = activations.flatten()
    kept = flat.topk(k * len(inputs))
    code = torch.zeros_like(flat).scatter(0, kept.indices, kept.values).view_as(activations)
    reconstruction = code @ W_dec + b_dec
    residual = (inputs - reconstruction).detach()
    silent = activations * dead
    values, latents = silent.topk(k_aux, dim=1)
    answer = torch.zeros_like(silent).scatter(1, latents, values) @ W_dec
    aux = (answer - residual).square().sum() / residual.square().sum()
    loss = (reconstruction - inputs).square().mean() + aux / 32
    loss.backward()
    along = (W_dec.grad * W_dec).sum(1, keepdim=True)
    W_dec.grad -= along * W_dec.detach()
    return loss.detach(), [w.grad for w in (W_enc, b_enc, W_dec, b_dec)], kept.values.min()


def test_steps_equal_dense_autograd(sparse_inputs):
    inputs = sparse_inputs(40).double()
    state = initial_state(CONFIG, 6)
    sae = state.sae.double()
    begin(sae, inputs, CONFIG)
    names = ("W_enc", "b_enc", "W_dec", "b_dec")
    slow = [getattr(sae.dictionary, name).detach().clone() for name in names]
    moments = [[torch.zeros_like(w), torch.zeros_like(w)] for w in slow]
    generator, least = torch.Generator().manual_seed(1), []
    for step in range(1, 6):
        dead = torch.rand(24, generator=generator) < 0.3
        state.dead.silent_inputs.copy_(dead * 1000)
        result = sae.rule.training_pass(sae.dictionary, sae.standardisation(inputs))
        sae.rule.n_batches -= 1  # this extra pass is only to know who fires
        sae.rule.threshold.copy_(torch.stack(least).mean() if least else torch.zeros(()))
        standardised = (inputs - sae.standardisation.mean) / sae.standardisation.scale
        loss, gradients, smallest = dense_step(slow, standardised, dead & ~result.fired, 2, 3)
        least.append(smallest)
        measured = train_step(state, inputs, CONFIG)
        torch.testing.assert_close(measured[0], loss, rtol=1e-9, atol=0)
        for name, weight, gradient, (first, second) in zip(
            names, slow, gradients, moments, strict=True
        ):
            found = getattr(sae.dictionary, name)
            torch.testing.assert_close(found.grad, gradient, rtol=1e-5, atol=1e-12)
            first.mul_(0.9).add_(0.1 * gradient)
            second.mul_(0.999).add_(0.001 * gradient.square())
            size = 1e-2 / (1 - 0.9**step)
            weight -= size * first / ((second / (1 - 0.999**step)).sqrt() + 1e-8)
            if name == "W_dec":
                weight /= weight.norm(dim=1, keepdim=True)
            torch.testing.assert_close(found.detach(), weight, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(sae.rule.threshold, torch.stack(least).mean())


@pytest.mark.parametrize("method", METHODS)
def test_learns_and_writes_what_it_learned(sparse_inputs, tmp_path, method):
    inputs = sparse_inputs(96)
    config = replace(CONFIG, method=method, steps=60, steps_per_record=10)
    sae = train_sae(config, inputs, tmp_path)
    history = load_history(tmp_path)
    assert history.steps.tolist() == [10, 20, 30, 40, 50, 60]
    assert history.loss[-1] < history.loss[0]
    assert history.fve[-1] > history.fve[0]
    assert reconstruction_scores(sae, inputs).fve > 0.5
    torch.testing.assert_close(sae.dictionary.W_dec.detach().norm(dim=1), torch.ones(24))
    loaded = load_autoencoder(method, tmp_path / "model.safetensors")
    assert torch.equal(loaded(inputs), sae(inputs))
    assert not sae.training
    assert stored_seconds(tmp_path) > 0


def test_the_threshold_gives_about_the_trained_count(sparse_inputs, tmp_path):
    config = replace(CONFIG, steps=90, method=BatchTopK(k=2, threshold_decay=0.9))
    sae = train_sae(config, sparse_inputs(96), tmp_path)
    assert 1.5 < reconstruction_scores(sae, sparse_inputs(96)).l0 < 2.5


def test_auxk_revives_latents(sparse_inputs, tmp_path):
    config = replace(CONFIG, steps=60, auxk=AuxK(weight=0.5), steps_per_record=60)
    shares = []
    for name, auxk in (("with", config.auxk), ("without", None)):
        train_sae(replace(config, auxk=auxk), sparse_inputs(96), tmp_path / name)
        shares.append(float(load_history(tmp_path / name).dead_share[-1]))
    assert shares[0] < shares[1]


def test_a_pass_is_one_permutation(sparse_inputs):
    inputs = torch.arange(96.0)[:, None]
    batches = [batch[:, 0] for batch in batches_from(inputs, CONFIG, 0)]
    assert [len(batch) for batch in batches] == [40, 40, 16] * 3
    order = torch.randperm(96, generator=generator_for(0, "pool", 1))
    assert torch.equal(torch.cat(batches[3:6]), inputs[order, 0])
    for done in (1, 3, 8, 9):
        rest = [batch[:, 0] for batch in batches_from(inputs, CONFIG, done)]
        assert [b.tolist() for b in rest] == [b.tolist() for b in batches[done:]]


def files(folder: Path) -> dict[str, bytes]:
    return {
        name: (folder / name).read_bytes() for name in ("model.safetensors", "history.safetensors")
    }


@pytest.mark.parametrize("method", METHODS)
def test_resumes_to_the_same_bytes(sparse_inputs, tmp_path, monkeypatch, method):
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 2)
    config, inputs = replace(CONFIG, method=method), sparse_inputs(96)
    train_sae(config, inputs, tmp_path / "whole")
    step, taken = module.train_step, [0]

    def stopped(*arguments):
        taken[0] += 1
        if taken[0] in (2, 7, 10):
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(module, "train_step", stopped)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train_sae(config, inputs, tmp_path / "parts")
    train_sae(config, inputs, tmp_path / "parts")
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    # a run that is complete goes through nothing again
    before = taken[0]
    train_sae(config, inputs, tmp_path / "parts")
    assert taken[0] == before
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def test_seeds_decide(sparse_inputs, tmp_path):
    inputs = sparse_inputs(96)
    runs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_sae(replace(CONFIG, seed=seed), inputs, tmp_path / name)
        runs[name] = files(tmp_path / name)
    assert runs["a"] == runs["b"]
    assert runs["a"]["model.safetensors"] != runs["c"]["model.safetensors"]


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_input_is_reconstructed_and_stays_finite(tmp_path, method):
    inputs = torch.full((50, 6), 0.7)
    sae = train_sae(replace(CONFIG, method=method), inputs, tmp_path)
    torch.testing.assert_close(sae(inputs), inputs, atol=1e-3, rtol=0)
    assert bool(load_history(tmp_path).loss.isfinite().all())


def test_all_silent_batches_train_the_bias_alone(sparse_inputs, tmp_path, monkeypatch):
    def silent(sae, *arguments):
        begin(sae, *arguments)
        with torch.no_grad():
            sae.dictionary.b_enc.fill_(-1e3)

    monkeypatch.setattr(module, "begin", silent)
    inputs = sparse_inputs(96)
    sae = train_sae(CONFIG, inputs, tmp_path)
    history = load_history(tmp_path)
    assert history.l0.tolist() == [0, 0, 0]
    assert history.dead_share[-1] == 1
    assert bool(history.loss.isfinite().all())
    assert len(sae.encode(inputs).values) == 0
    assert float(sae.rule.threshold) == 0


@pytest.mark.parametrize("method", METHODS)
def test_divergence_names_step_and_rate_and_keeps_the_checkpoint(
    sparse_inputs, tmp_path, monkeypatch, method
):
    monkeypatch.setattr(module, "STEPS_BETWEEN_CHECKPOINTS", 4)
    step, taken = module.train_step, [0]

    def broken(state, *arguments):
        taken[0] += 1
        if taken[0] == 6:
            with torch.no_grad():
                state.sae.dictionary.W_enc.fill_(torch.inf)
        return step(state, *arguments)

    monkeypatch.setattr(module, "train_step", broken)
    config = replace(CONFIG, method=method, warmup=0.0, decay=0.0, learning_rate=0.02)
    message = r"in step [67], at learning rate 0.02: lower it; the state after step 4 is kept"
    with pytest.raises(TrainingDivergedError, match=message):
        train_sae(config, sparse_inputs(96), tmp_path)
    assert (tmp_path / "checkpoint" / "sae.safetensors").exists()
    assert not (tmp_path / "model.safetensors").exists()
    monkeypatch.setattr(module, "train_step", step)
    train_sae(config, sparse_inputs(96), tmp_path)


def test_other_errors_pass_as_they_are(sparse_inputs, tmp_path, monkeypatch):
    def failing(*_):
        raise ValueError("something else")

    monkeypatch.setattr(module, "train_step", failing)
    with pytest.raises(ValueError, match="something else"):
        train_sae(CONFIG, sparse_inputs(96), tmp_path)


def test_refuses_before_any_work(sparse_inputs, tmp_path):
    inputs = sparse_inputs(96)
    with pytest.raises(ValueError, match="k is 25, .* at most the dictionary's 24 latents"):
        train_sae(replace(CONFIG, method=BatchTopK(k=25)), inputs, tmp_path)
    with pytest.raises(ValueError, match="at least one activation, got none"):
        train_sae(CONFIG, inputs[:0], tmp_path)
    inputs[3, 3] = torch.nan
    with pytest.raises(
        ValueError, match="NaN or an infinity in 1 of 96 vectors, first in number 3"
    ):
        train_sae(CONFIG, inputs, tmp_path)
    assert list(tmp_path.iterdir()) == []
