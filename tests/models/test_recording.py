from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from seethrough.autoencoders.activations import ActivationSource
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.measure import heldout_output, measure_units
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, SparseOutput
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.train_sparse_autoencoder import (
    MODEL_FILE,
    create,
    train_sparse_autoencoder,
)
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models.held_out import Representations
from seethrough.models.recording import RecordedActivations, epoch_file, record_epoch
from seethrough.models.train_vae_sae import STATE_FILE, split_images, train
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import VAE
from seethrough.models.vae_sae import VAESAE, Encoding
from seethrough.training.checkpoint import below
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.initialise import generator_for

Epochs = list[dict[str, float]]


def unscored(output: SparseOutput, epoch: int) -> tuple[dict[str, float], dict[str, Tensor]]:
    return {}, {}


def random_record(seed: int) -> tuple[Tensor, Tensor, Representations]:
    """Return hidden layers and means of 6 training and 4 held-out images."""
    generator = generator_for(seed)
    hidden = 100 * torch.rand(10, 256, generator=generator)
    mean = torch.randn(10, 10, generator=generator)
    return hidden[:6], mean[:6], Representations(hidden[6:], mean[6:], None)


def recorded(position: str, *folders: Path) -> RecordedActivations:
    return RecordedActivations(folders=folders, position=position)


def read(encoding: Encoding | Representations, position: str) -> Tensor:
    """Return what a layer reads of the VAE: h rounded to 11 significant bits, or the mean."""
    if position == "latent":
        return encoding.mean.detach()
    return encoding.hidden.detach().half().float()


def train_jointly(
    config: TrainingConfig, layer: SAEConfig, position: str, dataset: FactorDataset
) -> tuple[VAESAE, SparseAutoencoder, Epochs]:
    """Train VAE and layer in one loop, by one loss and one optimiser, and count active units."""
    images, held = split_images(dataset, config)
    model = VAESAE(1, None, config.seed)
    sae = create(layer, 10 if position == "latent" else 256)
    optimizer = torch.optim.Adam([*model.parameters(), *sae.parameters()], lr=1e-3, fused=True)
    measured = []
    for epoch in range(1, config.total_epochs + 1):
        generator = generator_for(config.seed, "epoch", epoch)
        order, level = torch.randperm(24, generator=generator), layer.level(epoch)
        for rows in (order[:16], order[16:]):
            noise = torch.randn(len(rows), 10, generator=generator)
            parts = model.losses(images[rows].float(), 0.0, noise)
            output = sae(read(parts.encoding, position), level)
            penalty = layer.sparsifier.penalty(output.code, sae.W_dec, level)
            loss = parts.elbo.loss(config.beta) + output.unexplained() + penalty
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            inputs = read(model.encode(held.pixels(0, 20), 0.0), position)
        measured.append(measure_units(heldout_output(sae, inputs, level))[0])
    return model, sae, measured


@pytest.mark.parametrize(
    ("position", "sparsifier"),
    [
        ("beside", TopK(start=30, end=4)),
        ("latent", TopK(start=30, end=4)),
        ("beside", L1(coefficient=0.3)),
    ],
)
def test_a_layer_learns_from_the_record_what_it_learns_in_company(
    dsprites: FactorDataset,
    config: TrainingConfig,
    workspace: Path,
    tmp_path: Path,
    position: str,
    sparsifier: TopK | L1,
) -> None:
    """To the last bit: the layer, the VAE that it sat beside, and what was counted on the way."""
    layer = SAEConfig(width=40, sparsifier=sparsifier, epochs=3, batch_size=16)
    with thread_count(1):
        model, sae, measured = train_jointly(config, layer, position, dsprites)
    train(config, workspace, dsprites)
    train_sparse_autoencoder(layer, recorded(position, workspace), tmp_path, unscored)

    alone = load_file(tmp_path / MODEL_FILE)
    for name in ("W_enc", "b_enc", "W_dec", "b_pre"):
        assert torch.equal(alone[name], sae.state_dict()[name])
    vae = below(load_file(workspace / STATE_FILE), "model/")
    assert vae.keys() == model.state_dict().keys()
    assert all(torch.equal(vae[name], tensor) for name, tensor in model.state_dict().items())
    history = History.from_state(load_file(tmp_path / HISTORY_FILE))
    for name in ("active", "unexplained"):
        assert history.scalars[name] == [scalars[name] for scalars in measured]


def test_what_is_recorded_comes_back(tmp_path: Path) -> None:
    """Means are exact; hidden layers keep 11 significant bits."""
    hidden, mean, held = random_record(0)
    record_epoch(epoch_file(tmp_path, 2), hidden, mean, held, None)
    beside, latent = recorded("beside", tmp_path), recorded("latent", tmp_path)
    assert torch.equal(latent.train(2), mean)
    assert torch.equal(latent.heldout(2), held.mean)
    assert torch.equal(beside.train(2), hidden.half().float())
    assert beside.train(2).dtype == torch.float32
    torch.testing.assert_close(beside.train(2), hidden, rtol=2**-11, atol=0)
    torch.testing.assert_close(beside.heldout(2), held.hidden, rtol=2**-11, atol=0)


def test_dimensions_are_those_of_the_position(tmp_path: Path) -> None:
    assert recorded("beside", tmp_path).d_input == 256
    assert recorded("latent", tmp_path).d_input == 10


def test_the_record_is_a_source_of_activations(tmp_path: Path) -> None:
    assert isinstance(recorded("beside", tmp_path), ActivationSource)


def test_an_epoch_is_in_one_of_the_folders(tmp_path: Path) -> None:
    """The squeeze has epochs 1 and 2, what went on from it epoch 3."""
    squeeze, longer = tmp_path / "squeeze", tmp_path / "longer"
    means = []
    for epoch, folder in ((1, squeeze), (2, squeeze), (3, longer)):
        hidden, mean, held = random_record(epoch)
        record_epoch(epoch_file(folder, epoch), hidden, mean, held, None)
        means.append(mean)
    source = recorded("latent", squeeze, longer)
    for epoch, mean in enumerate(means, 1):
        assert torch.equal(source.train(epoch), mean)
    with pytest.raises(ValueError, match="^epoch is 4, allowed is an epoch that was recorded$"):
        source.train(4)
    with pytest.raises(ValueError, match="^epoch is 3, "):
        recorded("latent", squeeze).heldout(3)


def test_the_vae_of_a_scored_epoch_comes_back(tmp_path: Path) -> None:
    hidden, mean, held = random_record(0)
    vae = VAE.create(3, generator_for(5))
    record_epoch(epoch_file(tmp_path, 1), hidden, mean, held, vae)
    record_epoch(epoch_file(tmp_path, 2), hidden, mean, held, None)
    again = recorded("beside", tmp_path).vae(3, 1)
    for one, other in zip(vae.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
        assert one.stride() == other.stride()
    with pytest.raises(ValueError, match="^epoch is 2, allowed is an epoch after which codes are"):
        recorded("beside", tmp_path).vae(3, 2)


def test_a_hidden_layer_beyond_float16_is_refused(tmp_path: Path) -> None:
    hidden, mean, held = random_record(0)
    hidden[3, 7] = 7e4
    with pytest.raises(ValueError, match="^the hidden layer reaches 70000, float16 holds up to"):
        record_epoch(epoch_file(tmp_path, 1), hidden, mean, held, None)
    assert not list(tmp_path.rglob("*.*"))


def test_recording_an_epoch_again_replaces_it(tmp_path: Path) -> None:
    for seed in (0, 1):
        hidden, mean, held = random_record(seed)
        record_epoch(epoch_file(tmp_path, 1), hidden, mean, held, None)
    assert torch.equal(recorded("latent", tmp_path).train(1), random_record(1)[1])
    assert [file.name for file in tmp_path.rglob("*.*")] == ["epoch_0001.safetensors"]


@pytest.mark.parametrize("position", ["in_path", "under", ""])
def test_other_positions_are_named(tmp_path: Path, position: str) -> None:
    with pytest.raises(ValueError, match=f"^position is '{position}', allowed are beside, latent$"):
        recorded(position, tmp_path)


def test_a_run_records_what_it_computes(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path
) -> None:
    """The first batch before any step, the held-out images after the last one; VAEs if scored."""
    config = replace(config, epochs=2, extra_epochs=1)
    train(config, workspace, dsprites)
    images, held = split_images(dsprites, config)
    source = recorded("latent", workspace)
    untrained, trained = VAESAE(1, None, config.seed), VAESAE(1, None, config.seed)
    trained.load_state_dict(below(load_file(workspace / STATE_FILE), "model/"))
    with torch.no_grad(), thread_count(1):
        first = torch.randperm(24, generator=generator_for(0, "epoch", 1))[:16]
        before = untrained.encode(images[first].float(), 0.0)
        after = trained.encode(held.pixels(0, 20), 0.0)
    assert torch.equal(source.train(1)[:16], before.mean)
    assert source.train(1).shape == (24, 10)
    assert torch.equal(source.heldout(3), after.mean)
    for epoch in (1, 2, 3):  # all of so short a run are scored
        source.vae(1, epoch)
    last = source.vae(1, 3).state_dict()
    assert all(torch.equal(last[n], t) for n, t in trained.vae.state_dict().items())
