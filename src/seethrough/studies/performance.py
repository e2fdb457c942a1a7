"""Study: how much faster is our BatchTopK training step than the dense one, here and now?

One small comparison on the reader's own machine; the large ones, against the libraries, are run by
`make bench` and committed. Loss and gradients are compared before anything is timed. Times depend
on the machine and on what else it does; the ratios much less.
"""

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from seethrough.performance.clock import Work, milliseconds
from seethrough.performance.dense_sae_step import DenseSAE, sample_activations
from seethrough.results import Row, StudyResult
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.train_sae import TrainingState, initial_state, train_step
from seethrough.store import ArtifactStore
from seethrough.studies.study_run import Findings, stored_result
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.checks import at_least
from seethrough.training.device import check_device, thread_count

EQUAL_TO = 1e-4
"""Largest relative difference of loss or gradients that rounding in float32 explains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of the study; the defaults are the `smoke` scale."""

    batch_size: int = 256
    """Inputs of a step, at least 1."""
    d_input: int = 64
    """Features of an input, at least 1."""
    expansion: int = 8
    """Latents per feature, at least 1."""
    k: int = 8
    """Latents active per input, mean over a batch; at least 1."""
    rounds: int = 3
    """Rounds of which the shortest counts, at least 1."""
    seed: int = 0
    """Decides weights and inputs; at least 0."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads, at least 1."""

    def __post_init__(self) -> None:
        for name in ("batch_size", "d_input", "expansion", "k", "rounds", "threads"):
            at_least(name, getattr(self, name), 1)
        at_least("seed", self.seed, 0)
        check_device(self.device)


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    return stored_result("performance", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Return errors, times and their ratios; raise ValueError for steps that are not equal."""
    started = time.monotonic()
    keep_freed_memory()
    with thread_count(parameters.threads):
        rows = _measured(parameters)
    return Findings(rows, [], time.monotonic() - started)


def _measured(parameters: Parameters) -> list[Row]:
    inputs = sample_activations(parameters.batch_size, parameters.d_input, parameters.seed)
    batch = inputs.to(parameters.device)
    config, state = _state(parameters, "float32")
    errors = differences(state, batch, parameters.k)
    worst = max(errors, key=lambda name: errors[name])
    if errors[worst] > EQUAL_TO:
        raise ValueError(f"{worst} differs by {errors[worst]:.1e}, allowed is {EQUAL_TO:.0e}")
    half_config, half_state = _state(parameters, "bfloat16")
    dictionary = state.sae.dictionary
    dense = DenseSAE(dictionary, parameters.k)
    bias, weights = dictionary.b_enc.detach(), dictionary.W_enc.detach()
    works: dict[str, Work] = {
        "ours": lambda: train_step(state, batch, config),
        "ours_bfloat16": lambda: train_step(half_state, batch, half_config),
        "dense": lambda: dense.step(batch),
        "product": lambda: torch.addmm(bias, batch, weights.T),
    }
    best = milliseconds(works, parameters.rounds, parameters.device)
    rows = [
        _row(f"error/{name}", f"relative error, {name}", error) for name, error in errors.items()
    ]
    rows += [_row(f"time/{name}", f"time, {name}", found, "ms") for name, found in best.items()]
    ratios = {
        "dense_over_ours": best["dense"] / best["ours"],
        "dense_over_ours_bfloat16": best["dense"] / best["ours_bfloat16"],
        "ours_over_product": best["ours"] / best["product"],
    }
    return rows + [_row(f"ratio/{name}", name.replace("_", " "), r) for name, r in ratios.items()]


def differences(state: TrainingState, batch: Tensor, k_per_sample: int) -> dict[str, float]:
    """Return loss and weights -> how far ours is from dense autograd, relative to its norm."""
    dictionary = state.sae.dictionary
    dense = DenseSAE(dictionary, k_per_sample)
    expected = dense.loss(batch)
    expected.backward()  # type: ignore[no-untyped-call]
    found = state.sae.rule.training_pass(dictionary, batch).reconstruction
    loss = (found - batch).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]
    errors = {"loss": abs(float((loss / expected).detach()) - 1)}
    for name, parameter in dictionary.named_parameters():
        wanted = dense.get_parameter(name).grad
        assert parameter.grad is not None
        assert wanted is not None
        errors[name] = float((parameter.grad - wanted).norm() / wanted.norm())
    return errors


def _state(parameters: Parameters, precision: str) -> tuple[SAEConfig, TrainingState]:
    config = SAEConfig(
        method=BatchTopK(k=parameters.k, encoder_precision=precision),
        expansion=parameters.expansion,
        dead_after=1 << 40,  # the dense step has no auxiliary loss
        seed=parameters.seed,
        device=parameters.device,
    )
    return config, initial_state(config, parameters.d_input)


def _row(name: str, quantity: str, value: float, unit: str = "1") -> Row:
    return Row(name, quantity, {}, unit, (value,))
