import pytest
import torch

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import create
from seethrough.training.initialise import generator_for

INPUTS = torch.randn(6, 4, generator=generator_for(5))
DEAD = torch.tensor([False, True, True, False, False, True, False, True, False])


def layer() -> PreparedAutoencoder:
    config = SAEConfig(width=9, sparsifier=TopK(start=3, end=3), revival=GhostGradients())
    return create(config, 4)


def test_it_is_as_large_as_the_main_loss() -> None:
    sae = layer()
    output = sae(INPUTS, 3.0)
    loss = GhostGradients().loss(sae, output, DEAD)
    assert float(loss.detach()) == pytest.approx(float(output.unexplained().detach()), rel=1e-5)


def test_gradients_are_those_of_the_slow_definition() -> None:
    """Written with exp itself, input by input; scales and residual are constants."""
    sae, slow = layer(), layer()
    GhostGradients().loss(sae, sae(INPUTS, 3.0), DEAD).backward()

    output = slow(INPUTS, 3.0)
    units = DEAD.nonzero()[:, 0]
    error = torch.zeros(())
    for x, x_hat in zip(INPUTS, output.reconstruction.detach(), strict=True):
        h = slow.W_enc[units] @ (x - slow.b_pre) + slow.b_enc[units]
        ghost = h.exp() @ slow.W_dec[units]
        residual = x - x_hat
        scale = float(residual.norm() / (2 * ghost.detach().norm()))
        error = error + (scale * ghost - residual).square().sum()
    size = float(output.unexplained().detach() / error.detach())
    (size * error).backward()
    for one, other in zip(sae.parameters(), slow.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_unit_that_nothing_switches_on_learns() -> None:
    sae = layer()
    with torch.no_grad():
        sae.b_enc[1] = -5.0
    assert float(sae.relu_code(INPUTS).detach()[:, 1].max()) == 0
    GhostGradients().loss(sae, sae(INPUTS, 3.0), DEAD).backward()
    assert sae.W_enc.grad is not None
    rows = sae.W_enc.grad.abs().sum(1)
    assert bool((rows[DEAD] > 0).all())
    assert bool((rows[~DEAD] == 0).all())


def test_large_pre_activations_stay_finite() -> None:
    sae = layer()
    with torch.no_grad():
        sae.b_enc[1] = 500.0  # exp(500) is no float32
    loss = GhostGradients().loss(sae, sae(INPUTS, 3.0), DEAD)
    loss.backward()
    assert bool(loss.isfinite())
    assert sae.W_enc.grad is not None
    assert bool(sae.W_enc.grad.isfinite().all())


def test_without_dead_units_it_is_0() -> None:
    sae = layer()
    none = torch.zeros(9, dtype=torch.bool)
    assert float(GhostGradients().loss(sae, sae(INPUTS, 3.0), none)) == 0


def test_dead_after_passes_over_the_inputs() -> None:
    assert GhostGradients().patience(steps_per_epoch=8, epochs=50) == 8
    with pytest.raises(ValueError, match=r"silent_epochs is 0\.0, allowed is a number above 0"):
        GhostGradients(silent_epochs=0.0)
