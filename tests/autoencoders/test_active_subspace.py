import pytest
import torch
from torch import nn

from seethrough.autoencoders.active_subspace import ActiveSubspaceStart
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder
from seethrough.training.initialise import generator_for


def begun(variance: float = 0.99) -> SparseAutoencoder:
    """Inputs vary along three axes of ten, with variances 100, 10 and 1 and a mean elsewhere."""
    scales = torch.zeros(10)
    scales[:3] = torch.tensor([10.0, 10**0.5, 1.0])
    inputs = 7 * torch.eye(10)[9] + torch.randn(2000, 10, generator=generator_for(1)) * scales
    sae = SparseAutoencoder(10, 40, nn.Identity(), generator_for(0))
    ActiveSubspaceStart(variance=variance).begin(sae, inputs, generator_for(2))
    return sae


@pytest.mark.parametrize(("variance", "r"), [(0.85, 1), (0.98, 2), (1.0, 3)])
def test_directions_lie_in_the_leading_components(variance: float, r: int) -> None:
    # the three hold 90, 9 and 1 % of the variance
    sae = begun(variance)
    W_enc = sae.W_enc.detach()
    inside = W_enc[:, :r].square().sum(1)
    torch.testing.assert_close(inside, torch.ones(40), rtol=0, atol=5e-3)
    torch.testing.assert_close(W_enc.norm(dim=1), torch.ones(40))


def test_the_start_is_tied_with_the_norm_of_the_subspace() -> None:
    sae = begun(1.0)  # norm 2 x 3 / 40
    torch.testing.assert_close(sae.W_dec, 0.15 * sae.W_enc)
    assert sae.W_enc.requires_grad


def test_all_directions_are_taken() -> None:
    rows = begun(1.0).W_enc.detach()[:, :3]
    assert float(torch.linalg.eigvalsh(rows.T @ rows).min()) > 5  # 40 / 3 if spread evenly


@pytest.mark.parametrize("variance", [0.0, 1.5])
def test_a_wrong_share_is_named(variance: float) -> None:
    with pytest.raises(ValueError, match=f"variance is {variance}, allowed is above 0"):
        ActiveSubspaceStart(variance=variance)
