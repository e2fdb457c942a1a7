import math
from dataclasses import replace

import pytest
import torch

from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import create
from seethrough.training.initialise import generator_for

CONFIG = SAEConfig(width=9, sparsifier=TopK(start=3, end=3), revival=AuxK(k_aux=2))
INPUTS = torch.randn(6, 4, generator=generator_for(5))
DEAD = torch.tensor([False, True, True, False, False, True, False, True, False])


def layer() -> PreparedAutoencoder:
    return create(CONFIG, 4)


def test_it_is_the_slow_definition() -> None:
    sae = layer()
    output = sae(INPUTS, 3.0)
    loss = AuxK(k_aux=2, weight=0.5).loss(sae, output, DEAD)
    residual = (INPUTS - output.reconstruction).detach()
    answers = torch.zeros_like(residual)
    for row, values in enumerate(output.relu_code.detach()):
        dead = [unit for unit in range(9) if bool(DEAD[unit])]
        best = sorted(dead, key=lambda unit: float(values[unit]), reverse=True)[:2]
        answers[row] = sum(values[unit] * sae.W_dec.detach()[unit] for unit in best)
    error = (answers - residual).square().sum()
    spread = (residual - residual.mean(0)).square().sum()
    assert float(loss.detach()) == pytest.approx(0.5 * float(error / spread), rel=1e-5)


def test_only_dead_units_learn() -> None:
    sae = layer()
    AuxK().loss(sae, sae(INPUTS, 3.0), DEAD).backward()
    for gradient in (sae.W_enc.grad, sae.W_dec.grad, sae.b_enc.grad):
        assert gradient is not None
        rows = gradient.reshape(9, -1).abs().sum(1)
        assert bool((rows[~DEAD] == 0).all())
        assert bool((rows[DEAD] > 0).any())


def test_a_unit_that_nothing_switches_on_learns_nothing() -> None:
    sae = layer()
    with torch.no_grad():
        sae.b_enc[1] = -100.0
    AuxK().loss(sae, sae(INPUTS, 3.0), DEAD).backward()
    assert sae.W_enc.grad is not None
    assert float(sae.W_enc.grad[1].abs().sum()) == 0


def test_without_dead_units_it_is_0() -> None:
    sae = layer()
    assert float(AuxK().loss(sae, sae(INPUTS, 3.0), torch.zeros(9, dtype=torch.bool))) == 0


def test_nan_counts_as_0() -> None:
    sae = layer()
    output = sae(INPUTS.clone().fill_(math.nan), 3.0)
    assert float(AuxK().loss(sae, output, DEAD).detach()) == 0


def test_dead_after_passes_over_the_inputs() -> None:
    assert AuxK().patience(steps_per_epoch=8, epochs=50) == 8
    assert AuxK(silent_epochs=2.5).patience(steps_per_epoch=8, epochs=50) == 20
    assert AuxK(silent_epochs=0.01).patience(steps_per_epoch=8, epochs=50) == 1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"k_aux": 0}, "k_aux is 0, allowed is a count of at least 1"),
        ({"weight": 0.0}, "weight is 0.0, allowed is a number above 0"),
        ({"silent_epochs": -1.0}, "silent_epochs is -1.0, allowed is a number above 0"),
    ],
)
def test_wrong_values_are_named(change: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(AuxK(), **change)  # type: ignore[arg-type]
