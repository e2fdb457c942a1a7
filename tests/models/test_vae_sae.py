import pytest
import torch
from torch import Tensor

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import create
from seethrough.models.vae_sae import VAESAE, PathLayer
from seethrough.training.initialise import generator_for

TOP_K = PathLayer(width=30, sparsifier=TopK(start=20, end=3))
SOFT = PathLayer(width=30, sparsifier=L1(coefficient=0.5))


def batch() -> tuple[Tensor, Tensor]:
    generator = generator_for(9)
    images = torch.rand(6, 1, 64, 64, generator=generator).round()
    return images, torch.randn(6, 10, generator=generator)


def sparse(model: VAESAE, level: float) -> tuple[Tensor, Tensor]:
    """Return the codes of the batch before and after the sparsifier."""
    layer = model.encode(batch()[0], level).layer
    assert layer is not None
    return layer.relu_code, layer.code


def test_without_a_layer_the_heads_read_the_hidden_layer() -> None:
    model = VAESAE(1, None, seed=0)
    encoding = model.encode(batch()[0], 0.0)
    hidden = model.vae.hidden(batch()[0])
    assert encoding.layer is None
    assert torch.equal(encoding.hidden, hidden)
    mean, log_variance = model.vae.posterior(hidden)
    assert torch.equal(encoding.mean, mean)
    assert torch.equal(encoding.log_variance, log_variance)


def test_without_a_layer_the_level_does_not_matter() -> None:
    model = VAESAE(1, None, seed=0)
    one, other = (model.losses(batch()[0], level, batch()[1]) for level in (0.0, 50.0))
    assert torch.equal(one.elbo.reconstruction, other.elbo.reconstruction)
    assert float(one.penalty) == float(other.penalty) == 0


@pytest.mark.parametrize("layer", [TOP_K, SOFT])
def test_in_the_path_the_heads_read_the_reconstruction(layer: PathLayer) -> None:
    model = VAESAE(1, layer, seed=0)
    encoding = model.encode(batch()[0], 3.0)
    assert encoding.layer is not None
    assert torch.equal(encoding.layer.inputs, encoding.hidden)
    mean, log_variance = model.vae.posterior(encoding.layer.reconstruction)
    assert torch.equal(encoding.mean, mean)
    assert torch.equal(encoding.log_variance, log_variance)
    assert not torch.equal(encoding.mean, model.vae.posterior(encoding.hidden)[0])


def test_the_layer_learns_from_the_elbo() -> None:
    """Nothing asks the layer to reconstruct h; it and the trunk before it learn all the same."""
    model = VAESAE(1, TOP_K, seed=0)
    images, noise = batch()
    model.losses(images, 5.0, noise).elbo.loss(1.0).backward()  # type: ignore[no-untyped-call]
    gradients = {name: p.grad for name, p in model.named_parameters()}
    for name in ("sae.W_dec", "sae.W_enc", "vae.trunk.0.weight", "vae.decoder.0.weight"):
        gradient = gradients[name]
        assert gradient is not None
        assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize("k", [1, 3, 30])
def test_at_most_k_units_fire(k: int) -> None:
    relu_code, code = sparse(VAESAE(1, TOP_K, seed=1), float(k))
    assert 0 < int((code > 0).sum(1).max()) <= k
    assert torch.equal(code[code > 0], relu_code[code > 0])


def test_the_penalty_is_that_of_the_sparsifier() -> None:
    model = VAESAE(1, SOFT, seed=1)
    images, noise = batch()
    _, code = sparse(model, 0.25)
    assert model.sae is not None
    by_hand = 0.25 * (code * model.sae.W_dec.norm(dim=1)).sum(1).mean()
    torch.testing.assert_close(model.losses(images, 0.25, noise).penalty, by_hand)
    assert float(VAESAE(1, TOP_K, seed=1).losses(images, 3.0, noise).penalty) == 0


def test_the_loss_keeps_the_encoding_of_its_batch() -> None:
    model = VAESAE(1, TOP_K, seed=1)
    images, noise = batch()
    kept, again = model.losses(images, 3.0, noise).encoding, model.encode(images, 3.0)
    assert torch.equal(kept.hidden, again.hidden)
    assert torch.equal(kept.mean, again.mean)


def test_a_perfect_code_changes_nothing() -> None:
    """If the layer gives h back exactly, the VAE is the one without a layer."""
    model = VAESAE(1, PathLayer(width=512, sparsifier=TopK(start=512, end=512)), seed=0)
    assert model.sae is not None
    identity = torch.eye(256)
    with torch.no_grad():  # h = relu(h) - relu(-h), and h is not negative
        model.sae.W_enc.copy_(torch.cat([identity, -identity]))
        model.sae.W_dec.copy_(torch.cat([identity, -identity]))
    plain = VAESAE(1, None, seed=0)
    images, _ = batch()
    torch.testing.assert_close(model.encode(images, 512.0).mean, plain.encode(images, 0.0).mean)


@pytest.mark.parametrize("layer", [None, TOP_K])
def test_behind_a_rounded_trunk_everything_is_float32(layer: PathLayer | None) -> None:
    """In bfloat16 the hidden layer has 8 significant bits; codes, posterior and loss have all."""
    model = VAESAE(1, layer, seed=0)
    images, noise = batch()
    exact = model.encode(images, 3.0)
    with torch.autocast("cpu", torch.bfloat16):
        parts = model.losses(images, 3.0, noise)
    hidden = parts.encoding.hidden
    assert torch.equal(hidden, hidden.bfloat16().float())
    assert not torch.equal(hidden, exact.hidden)
    torch.testing.assert_close(hidden, exact.hidden, rtol=0.05, atol=0.01)
    encoding = parts.encoding
    tensors = [hidden, encoding.mean, encoding.log_variance, parts.penalty]
    tensors += [parts.elbo.reconstruction, parts.elbo.divergence]
    if layer is not None:
        assert encoding.layer is not None
        assert model.sae is not None
        tensors += [encoding.layer.relu_code, encoding.layer.code, encoding.layer.reconstruction]
        assert torch.equal(encoding.layer.relu_code, model.sae.relu_code(hidden))
    assert {tensor.dtype for tensor in tensors} == {torch.float32}
    read = hidden if encoding.layer is None else encoding.layer.reconstruction
    assert torch.equal(encoding.mean, model.vae.posterior(read)[0])


def test_seed_decides_everything() -> None:
    one, same, other = (VAESAE(1, TOP_K, seed=seed) for seed in (0, 0, 1))
    for a, b, c in zip(one.parameters(), same.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not a.any() or not torch.equal(a, c)


def test_parts_start_from_streams_of_their_own() -> None:
    """The VAE starts the same with and without a layer, the layer the same in and beside it."""
    plain, model = VAESAE(1, None, seed=4), VAESAE(1, TOP_K, seed=4)
    for one, other in zip(plain.vae.parameters(), model.vae.parameters(), strict=True):
        assert torch.equal(one, other)
    beside = create(SAEConfig(width=30, sparsifier=TOP_K.sparsifier, seed=4), 256)
    assert model.sae is not None
    assert torch.equal(model.sae.W_enc, beside.W_enc)


def test_torchs_own_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    images, noise = batch()
    VAESAE(1, TOP_K, seed=0).losses(images, 3.0, noise)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 1}, "width is 1, allowed is at least 2 units"),
        ({"width": 49}, "width is 49, allowed is at least the final k, 50"),
        (
            {"width": 1, "sparsifier": L1(coefficient=1.0)},
            "width is 1, allowed is at least 2 units",
        ),
    ],
)
def test_wrong_layers_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}$"):
        PathLayer(**change)  # type: ignore[arg-type]
