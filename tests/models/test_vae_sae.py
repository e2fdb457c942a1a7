import pytest
import torch
from torch import Tensor

from seethrough.training.initialise import generator_for
from seethrough.models.vae_sae import VAESAE, Branch, check_branches

SIDE = (Branch(position="beside", width=30), Branch(position="latent", width=20))


def batch() -> tuple[Tensor, Tensor]:
    generator = generator_for(9)
    images = torch.rand(6, 1, 64, 64, generator=generator).round()
    return images, torch.randn(6, 10, generator=generator)


def gradients(model: VAESAE, k: int = 5) -> dict[str, Tensor]:
    images, noise = batch()
    elbo, unexplained = model.losses(images, k, noise)
    (elbo.loss(1.0) + 10 * unexplained.sum()).backward()  # type: ignore[no-untyped-call]
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_side_branches_leave_the_vae_alone() -> None:
    """The VAE's gradients are the same bytes with one side branch, with two, and with others."""
    one = gradients(VAESAE(1, SIDE[:1], seed=0))
    two = gradients(VAESAE(1, SIDE, seed=0))
    vae = [name for name in one if name.startswith("vae.")]
    assert len(vae) == 24
    assert all(torch.equal(one[name], two[name]) for name in vae)


def test_a_branch_does_not_depend_on_its_company() -> None:
    alone = gradients(VAESAE(1, SIDE[1:], seed=0))
    together = gradients(VAESAE(1, SIDE, seed=0))
    for part in ("W_enc", "b_enc", "W_dec", "b_pre"):
        assert torch.equal(alone[f"saes.0.{part}"], together[f"saes.1.{part}"])


def test_in_path_feels_the_elbo() -> None:
    """Without the branch loss the sparse layer still learns, and the trunk learns through it."""
    model = VAESAE(1, (Branch(position="in_path", width=30),), seed=0)
    images, noise = batch()
    elbo, _ = model.losses(images, 5, noise)
    elbo.loss(1.0).backward()  # type: ignore[no-untyped-call]
    parameters = dict(model.named_parameters())
    for name in ("saes.0.W_dec", "saes.0.W_enc", "vae.trunk.0.weight"):
        gradient = parameters[name].grad
        assert gradient is not None
        assert float(gradient.abs().sum()) > 0


def test_side_branch_loss_does_not_reach_the_trunk() -> None:
    model = VAESAE(1, SIDE, seed=0)
    images, noise = batch()
    _, unexplained = model.losses(images, 5, noise)
    unexplained.sum().backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None for p in model.vae.parameters())


@pytest.mark.parametrize("position", ["beside", "in_path", "latent"])
def test_at_most_k_units_fire(position: str) -> None:
    model = VAESAE(1, (Branch(position=position, width=30),), seed=1)
    output = model.encode(batch()[0], 3).branches[0]
    fired = (output.code > 0).sum(1)
    assert int(fired.max()) <= 3
    assert int(fired.max()) > 0
    kept = output.code > 0
    assert torch.equal(output.code[kept], output.relu_code[kept])


def test_means_through_the_code_by_position() -> None:
    images, _ = batch()
    for position, expected_change in (("beside", True), ("latent", True), ("in_path", False)):
        branch = Branch(position=position, width=30)
        model = VAESAE(1, (branch,), seed=2)
        encoding = model.encode(images, 3)
        through = model.mean_through_code(encoding, 0)
        assert through.shape == (6, 10)
        assert torch.equal(through, encoding.mean) is not expected_change


def test_perfect_code_gives_back_the_mean() -> None:
    """If the SAE reconstructs its input exactly, the detour changes nothing."""
    model = VAESAE(1, (Branch(position="beside", width=512),), seed=0)
    sae = model.saes[0]
    identity = torch.eye(256)
    with torch.no_grad():  # h = relu(h) - relu(-h), and h is not negative
        sae.W_enc.copy_(torch.cat([identity, -identity]))
        sae.W_dec.copy_(torch.cat([identity, -identity]))
        encoding = model.encode(batch()[0], 512)
    torch.testing.assert_close(model.mean_through_code(encoding, 0), encoding.mean)


@pytest.mark.parametrize(
    ("branches", "named"),
    [
        ((), "empty"),
        ((Branch(), Branch()), "beside/500, beside/500"),
        ((Branch(), Branch(position="in_path")), "alone"),
    ],
)
def test_impossible_branches_are_refused(branches: tuple[Branch, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check_branches(branches)


def test_branch_values_are_checked() -> None:
    with pytest.raises(ValueError, match="position is 'above'"):
        Branch(position="above")
    with pytest.raises(ValueError, match="width is 1"):
        Branch(width=1)


def test_seed_decides_everything() -> None:
    one, same, other = (VAESAE(1, SIDE, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not a.any() or not torch.equal(a, c)
