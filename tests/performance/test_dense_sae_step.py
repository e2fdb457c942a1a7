import torch

from seethrough.performance.dense_sae_step import DenseSAE, sample_activations
from seethrough.sae.dictionary import Dictionary


def dictionary() -> Dictionary:
    found = Dictionary(2, 3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        found.W_enc.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]))
        found.W_dec.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]]))
    return found


def test_loss_by_hand() -> None:
    # Pre-activations of (3, 2) and (1, -4): (3, 2, -5) and (1, -4, 3). With one per input the two
    # largest are 3 and 3: (3, 0, 0) and (0, 0, 3), so (3, 0) and (1.8, 2.4) come back. What is left
    # is (0, -2) and (0.8, 6.4): (4 + 0.64 + 40.96) / 4.
    dense = DenseSAE(dictionary(), k_per_sample=1)
    loss = dense.loss(torch.tensor([[3.0, 2.0], [1.0, -4.0]]))
    torch.testing.assert_close(loss, torch.tensor(11.4))


def test_a_step_lowers_the_loss_and_leaves_the_start_alone() -> None:
    start = dictionary()
    before = [parameter.detach().clone() for parameter in start.parameters()]
    dense = DenseSAE(start, k_per_sample=1, learning_rate=0.05)
    inputs = sample_activations(32, 2, seed=0, n_features=4, n_active=2)
    first = float(dense.loss(inputs).detach())
    for _ in range(20):
        dense.step(inputs)
    assert float(dense.loss(inputs).detach()) < 0.9 * first
    norms = dense.get_parameter("W_dec").norm(dim=1)
    torch.testing.assert_close(norms, torch.ones(3))
    for parameter, old in zip(start.parameters(), before, strict=True):
        assert torch.equal(parameter, old)


def test_vectors_share_their_features() -> None:
    one, again = (sample_activations(64, 16, seed=3) for _ in range(2))
    assert torch.equal(one, again)
    assert not torch.equal(one, sample_activations(64, 16, seed=4))
    # One feature, no more: apart from noise of a tenth, all vectors have its direction.
    alike = sample_activations(64, 16, seed=0, n_features=1, n_active=1)
    values = torch.linalg.svdvals(alike)
    assert float(values[1:].square().sum() / values.square().sum()) < 0.05
