import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from seethrough.data.factor_dataset import FactorDataset
from seethrough.training.history import History
from seethrough.training.initialise import generator_for
from seethrough.models.train_vae_sae import (
    HISTORY_FILE,
    MODEL_FILE,
    TrainingDivergedError,
    make_optimizer,
    split_images,
    thread_count,
    train,
    train_epoch,
)
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import VAESAE, Branch


def same_bytes(one: Path, other: Path) -> bool:
    return all(
        (one / name).read_bytes() == (other / name).read_bytes()
        for name in (MODEL_FILE, HISTORY_FILE)
    )


def test_split_is_disjoint_and_seeded(dsprites: FactorDataset, config: TrainingConfig) -> None:
    images, heldout = split_images(dsprites, config)
    assert images.shape == (24, 1, 64, 64)
    assert heldout.images.shape == (20, 1, 64, 64)
    assert torch.equal(dsprites.images(dsprites.index(heldout.classes)), heldout.images)
    again, _ = split_images(dsprites, config)
    other, _ = split_images(dsprites, replace(config, seed=1))
    assert torch.equal(images, again)
    assert not torch.equal(images, other)


def test_more_images_than_exist_are_refused(
    dsprites: FactorDataset, config: TrainingConfig
) -> None:
    with pytest.raises(ValueError, match="737281.*737280"):
        split_images(dsprites, replace(config, n_train=737261))


def test_epoch_is_the_plain_loop(dsprites: FactorDataset, config: TrainingConfig) -> None:
    """A replica with unfused Adam and the loss written out gives the same losses and weights."""
    images, _ = split_images(dsprites, config)
    model = VAESAE(1, config.branches, 0)
    losses = train_epoch(model, make_optimizer(model, config), images, 1, config, epoch=2)

    replica = VAESAE(1, config.branches, 0)
    optimizer = torch.optim.Adam(replica.parameters(), lr=1e-3, foreach=False)
    generator = generator_for(config.seed, "epoch", 2)
    order = torch.randperm(24, generator=generator)
    sae, k = replica.saes[0], 17  # halfway from 30 to 4
    for number, rows in enumerate((order[:16], order[16:])):
        x = images[rows].float()
        noise = torch.randn(len(rows), 10, generator=generator)
        h = replica.vae.trunk(x)
        mean, log_variance = replica.vae.head(h).split(10, dim=1)
        logits = replica.vae.decoder(mean + (log_variance / 2).exp() * noise)
        bce = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum((1, 2, 3)).mean()
        kl = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        r = F.relu((h.detach() - sae.b_pre) @ sae.W_enc.T + sae.b_enc)
        cut = r.sort(dim=1, descending=True).values[:, k - 1 : k]
        x_hat = torch.where(r >= cut, r, 0.0) @ sae.W_dec + sae.b_pre
        fvu = ((x_hat - h.detach()) ** 2).sum() / ((h - h.mean(0)) ** 2).sum().detach()
        loss = bce + kl + 10 * fvu
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        torch.testing.assert_close(
            losses[number], torch.stack([loss, bce, kl, fvu]).detach(), rtol=1e-4, atol=1e-4
        )
    for one, other in zip(model.parameters(), replica.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("position", ["beside", "in_path", "latent"])
def test_stopped_and_resumed_gives_the_same_bytes(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path, position: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    config = replace(config, branches=(Branch(position=position, width=40),))
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    whole.mkdir()
    pieces.mkdir()
    train(config, whole, dsprites)

    import seethrough.models.train_vae_sae as module

    save = module.save_checkpoint

    def save_then_stop(*arguments: object) -> None:
        save(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "save_checkpoint", save_then_stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train(config, pieces, dsprites)
    monkeypatch.undo()
    train(config, pieces, dsprites)
    assert same_bytes(whole, pieces)


def test_killed_and_resumed_gives_the_same_bytes(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path
) -> None:
    config = replace(config, epochs=40)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    train(config, whole, dsprites)
    script = textwrap.dedent(
        f"""
        from pathlib import Path
        from seethrough.data.dsprites import load
        from seethrough.autoencoders.schedule import LinearSchedule
        from seethrough.models.train_vae_sae import train
        from seethrough.models.training_config import TrainingConfig
        from seethrough.models.vae_sae import Branch
        train({config!r}, Path({str(killed)!r}), load(source="rendered"))
        """
    )
    process = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    state = killed / "checkpoint" / "state.safetensors"
    deadline = time.monotonic() + 120
    while not state.exists() and time.monotonic() < deadline:
        assert process.poll() is None, "training ended before it could be killed"
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / MODEL_FILE).exists()
    train(config, killed, dsprites)
    assert same_bytes(whole, killed)


def test_training_lowers_the_loss(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path
) -> None:
    train(replace(config, epochs=6, learning_rate=3e-3), workspace, dsprites)
    history = History.from_state(
        {n: t for n, t in load_file(workspace / HISTORY_FILE).items() if "originals" not in n}
    )
    reconstruction = history.scalar("train_reconstruction")
    assert float(reconstruction[-1]) < 0.5 * float(reconstruction[0])
    assert history.scalars["k"] == [30, 25, 20, 14, 9, 4]
    assert max(history.scalars["active/beside/40"]) <= 30
    assert history.scalars["active/beside/40"][-1] <= 4


def test_divergence_stops_with_the_last_good_state(
    dsprites: FactorDataset, config: TrainingConfig, workspace: Path
) -> None:
    with pytest.raises(TrainingDivergedError, match=r"epoch \d.*batch \d of 2.*learning rate 1e\+"):
        train(replace(config, learning_rate=1e30), workspace, dsprites)
    assert not (workspace / MODEL_FILE).exists()


def test_threads_are_restored() -> None:
    before = torch.get_num_threads()
    with thread_count(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_device_trains_as_the_cpu_does(
    dsprites: FactorDataset, config: TrainingConfig, tmp_path: Path
) -> None:
    for device in ("cpu", "cuda"):
        (tmp_path / device).mkdir()
        train(replace(config, device=device), tmp_path / device, dsprites)
    cpu, cuda = (load_file(tmp_path / device / HISTORY_FILE) for device in ("cpu", "cuda"))
    torch.testing.assert_close(  # starts and images agree; orders and noise have their own streams
        cpu["scalars/train_reconstruction"], cuda["scalars/train_reconstruction"], rtol=0.3, atol=0
    )
