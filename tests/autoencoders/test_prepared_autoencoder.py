import torch
from torch import nn

from seethrough.autoencoders.aligned import AlignedEncoder, FreeEncoder
from seethrough.autoencoders.no_centring import IdentityMap
from seethrough.autoencoders.prepared_autoencoder import PreparedAutoencoder
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.whitening import Whitening
from seethrough.training.initialise import generator_for

D, M = 5, 12
INPUTS = 2 + torch.randn(30, D, generator=generator_for(9)) * torch.arange(1.0, D + 1)


def prepared(
    input_map: IdentityMap | None = None, encoder: FreeEncoder | AlignedEncoder | None = None
) -> PreparedAutoencoder:
    sae = PreparedAutoencoder(
        D, M, TopK().module(M), generator_for(3),
        input_map=input_map or IdentityMap(), encoder=encoder or FreeEncoder(), silence=None,
    )  # fmt: skip
    with torch.no_grad():
        sae.b_pre += torch.linspace(-1, 1, D)
        sae.b_enc += torch.linspace(-1, 1, M)
        sae.W_dec += 0.1 * torch.randn(M, D, generator=generator_for(4))
    return sae.requires_grad_(False)


def whitened_map() -> IdentityMap:
    method = Whitening()
    found = method.input_map(D)
    method.begin(found, torch.zeros(D), INPUTS)
    return found


def test_without_preparation_it_is_the_plain_one_to_the_last_bit() -> None:
    sae = prepared()
    plain = SparseAutoencoder(D, M, TopK().module(M), generator_for(0)).requires_grad_(False)
    plain.load_state_dict(sae.state_dict())  # the same names, too
    one, other = sae(INPUTS, 3.0), plain(INPUTS, 3.0)
    for name in ("relu_code", "code", "reconstruction", "inputs"):
        assert torch.equal(getattr(one, name), getattr(other, name))


def test_a_whitened_layer_follows_the_equations() -> None:
    input_map = whitened_map()
    sae = prepared(input_map)
    output = sae(INPUTS, 4.0)
    p = input_map(INPUTS)
    r = ((p - sae.b_pre) @ sae.W_enc.T + sae.b_enc).relu()
    torch.testing.assert_close(output.relu_code, r, rtol=1e-4, atol=1e-5)
    x_hat = input_map.back(output.code @ sae.W_dec + sae.b_pre)
    torch.testing.assert_close(output.reconstruction, x_hat)
    assert output.inputs.data_ptr() == INPUTS.data_ptr()  # errors are measured on the inputs


def test_an_aligned_layer_follows_the_equations() -> None:
    sae = prepared(encoder=AlignedEncoder())
    W = sae.W_enc / (sae.W_enc * sae.W_dec).sum(1, keepdim=True)
    h = (INPUTS - sae.b_pre) @ W.T + sae.b_enc
    torch.testing.assert_close(sae.pre_activations(INPUTS), h, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sae.relu_code(INPUTS), h.relu(), rtol=1e-4, atol=1e-4)


def test_some_units_are_columns_of_all() -> None:
    units = torch.tensor([7, 0, 3])
    for sae in (prepared(), prepared(whitened_map()), prepared(encoder=AlignedEncoder())):
        torch.testing.assert_close(
            sae.pre_activations_of(INPUTS, units), sae.pre_activations(INPUTS)[:, units],
            rtol=1e-4, atol=1e-4,
        )  # fmt: skip


def test_contributions_add_up_to_the_reconstruction() -> None:
    some, others = torch.tensor([1, 4, 5]), torch.tensor([0, 2, 3, 6, 7, 8, 9, 10, 11])
    for sae in (prepared(), prepared(whitened_map())):
        code = sae(INPUTS, 4.0).code
        nothing = sae.decode(torch.zeros_like(code))
        parts = sum(sae.contribution(code[:, units], units) for units in (some, others))
        torch.testing.assert_close(sae.decode(code), nothing + parts, rtol=1e-4, atol=1e-4)


def test_the_map_is_saved_with_the_layer() -> None:
    sae = prepared(whitened_map())
    other = prepared(Whitening().input_map(D))
    other.load_state_dict(sae.state_dict())
    assert torch.equal(other(INPUTS, 3.0).reconstruction, sae(INPUTS, 3.0).reconstruction)


def test_the_sparsifiers_parameters_come_last() -> None:
    """Checkpoints number parameters in this order."""

    class Thresholds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.own = nn.Parameter(torch.zeros(M))

    sae = PreparedAutoencoder(
        D, M, Thresholds(), generator_for(0),
        input_map=IdentityMap(), encoder=FreeEncoder(), silence=None,
    )  # fmt: skip
    assert [name for name, _ in sae.named_parameters()][-1] == "sparsifier.own"
