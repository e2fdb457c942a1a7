import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from seethrough.models.vae import VAE, negative_elbo, sample_latents
from seethrough.training.initialise import generator_for


def test_shapes_follow_the_architecture() -> None:
    vae = VAE.create(3, generator_for(0))
    images = torch.rand(2, 3, 64, 64, generator=generator_for(1))
    hidden = vae.hidden(images)
    mean, log_variance = vae.posterior(hidden)
    assert hidden.shape == (2, 256)
    assert float(hidden.detach().min()) >= 0
    assert mean.shape == log_variance.shape == (2, 10)
    assert vae.decode(mean).shape == images.shape


def test_parameter_count_worked_by_hand() -> None:
    # encoder: 1*32*16+32, 32*32*16+32, 32*64*4+64, 64*64*4+64, 1024*256+256, head 256*20+20
    encoder = 544 + 16416 + 8256 + 16448 + 262400 + 5140
    # decoder: 10*256+256, 256*1024+1024, 64*64*16+64, 64*32*16+32, 32*32*16+32, 32*1*16+1
    decoder = 2816 + 263168 + 65600 + 32800 + 16416 + 513
    vae = VAE.create(1, generator_for(0))
    assert sum(p.numel() for p in vae.parameters()) == encoder + decoder


def test_elbo_is_torchs_own_distributions() -> None:
    generator = generator_for(4)
    logits = torch.randn(3, 1, 64, 64, generator=generator)
    images = torch.rand(3, 1, 64, 64, generator=generator).round()
    mean, log_variance = torch.randn(2, 3, 10, generator=generator).unbind(0)
    elbo = negative_elbo(logits, images, mean, log_variance)
    likelihood = Bernoulli(logits=logits).log_prob(images)
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(elbo.reconstruction, -likelihood.sum() / 3)
    torch.testing.assert_close(elbo.divergence, divergence.sum() / 3)
    torch.testing.assert_close(elbo.loss(4.0), elbo.reconstruction + 4 * elbo.divergence)


def test_sampling_worked_by_hand() -> None:
    # log-variance 2 ln 3 is a standard deviation of 3: 1 + 3 x 0.5 = 2.5
    two_ln_three = torch.full((1, 10), 3.0).log() * 2
    z = sample_latents(torch.ones(1, 10), two_ln_three, torch.full((1, 10), 0.5))
    torch.testing.assert_close(z, torch.full((1, 10), 2.5))


def test_start_comes_from_the_generator_alone() -> None:
    before = torch.random.get_rng_state()
    one, other = VAE.create(1, generator_for(2)), VAE.create(1, generator_for(2))
    assert torch.equal(before, torch.random.get_rng_state())
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
