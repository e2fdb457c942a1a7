import torch
from torch import nn

from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder
from seethrough.autoencoders.tied_start import TiedStart
from seethrough.autoencoders.untied_start import UntiedStart
from seethrough.training.initialise import generator_for

INPUTS = torch.zeros(1, 30)


def fresh() -> SparseAutoencoder:
    return SparseAutoencoder(30, 80, nn.Identity(), generator_for(0))


def test_decoder_directions_are_drawn_apart() -> None:
    sae, tied = fresh(), fresh()
    UntiedStart().begin(sae, INPUTS, generator_for(1))
    assert torch.equal(sae.W_enc, tied.W_enc)
    torch.testing.assert_close(sae.W_dec.norm(dim=1), tied.W_dec.norm(dim=1))
    # cosines of independent directions in 30 dimensions have sd 1 / sqrt(30) = 0.18
    cosines = torch.cosine_similarity(sae.W_enc, sae.W_dec).detach()
    assert float(cosines.abs().max()) < 0.8
    assert float(cosines.mean().abs()) < 0.08


def test_the_generator_decides() -> None:
    one, same, other = fresh(), fresh(), fresh()
    for sae, seed in ((one, 1), (same, 1), (other, 2)):
        UntiedStart().begin(sae, INPUTS, generator_for(seed))
    assert torch.equal(one.W_dec, same.W_dec)
    assert not torch.equal(one.W_dec, other.W_dec)


def test_a_tied_start_leaves_everything_as_it_was() -> None:
    sae = fresh()
    TiedStart().begin(sae, INPUTS, generator_for(1))
    for name, tensor in fresh().state_dict().items():
        assert torch.equal(tensor, sae.state_dict()[name])
