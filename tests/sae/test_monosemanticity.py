"""The monosemanticity score: the sum over pairs, known cases, and dead latents."""

import pytest
import torch

from seethrough.sae.monosemanticity import monosemanticity


def slow_score(activations: torch.Tensor, embeddings: torch.Tensor) -> float:
    """Return the score of one latent by its definition, pair by pair."""
    low, high = activations.min(), activations.max()
    a = ((activations - low) / (high - low)).tolist()
    above, below = 0.0, 0.0
    for i in range(len(a)):
        for j in range(i):
            e, f = embeddings[i], embeddings[j]
            above += a[i] * a[j] * float(e @ f / (e.norm() * f.norm()))
            below += a[i] * a[j]
    return above / below


def test_equals_the_sum_over_pairs():
    generator = torch.Generator().manual_seed(0)
    activations = torch.randn(15, 6, generator=generator).double()
    activations[:, 3:] = activations[:, 3:].relu()  # sparse ones, as latents are
    embeddings = torch.randn(15, 5, generator=generator).double() + 0.5
    found = monosemanticity(activations, embeddings)
    expected = [slow_score(activations[:, u], embeddings) for u in range(6)]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-9, atol=0
    )


def test_scale_offset_and_embedding_norms_make_no_difference():
    generator = torch.Generator().manual_seed(1)
    activations = torch.rand(15, 4, generator=generator).double()
    embeddings = torch.randn(15, 5, generator=generator).double()
    found = monosemanticity(3 * activations - 7, embeddings * torch.arange(1, 16)[:, None])
    torch.testing.assert_close(found, monosemanticity(activations, embeddings))


def test_perfect_opposite_and_unrelated():
    along, across = [1.0, 0.0], [0.0, 1.0]
    embeddings = torch.tensor([along, along, across, [-1.0, 0.0]])
    active = torch.tensor([[1.0, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]]).T
    # pairs: (along, along) 1, (along, across) 0, (along, opposite) -1
    assert monosemanticity(active, embeddings).tolist() == [1, 0, -1]


def test_latents_without_a_pair_have_none():
    embeddings = torch.eye(4)
    silent, level = torch.zeros(4), torch.full((4,), 0.3)
    once = torch.tensor([0.0, 0.1, 0.0, 0.0])
    found = monosemanticity(torch.stack([silent, level, once], dim=1), embeddings)
    assert bool(found.isnan().all())


def test_refuses_what_has_no_score():
    embeddings = torch.eye(3)
    with pytest.raises(ValueError, match="embedding 1 is all zeros"):
        monosemanticity(torch.rand(3, 2), torch.diag(torch.tensor([1.0, 0, 1])))
    with pytest.raises(ValueError, match="embeddings are 3, allowed is one for each of 4 images"):
        monosemanticity(torch.rand(4, 2), embeddings)
    with pytest.raises(ValueError, match="activations must be finite"):
        monosemanticity(torch.full((3, 1), torch.nan), embeddings)
    with pytest.raises(ValueError, match="embeddings must be finite"):
        monosemanticity(torch.rand(3, 1), embeddings / 0)
    with pytest.raises(ValueError, match="at least one"):
        monosemanticity(torch.empty(0, 1), torch.empty(0, 3))
