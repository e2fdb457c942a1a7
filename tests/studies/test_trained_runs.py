import re
from dataclasses import replace

import pytest
import torch

from seethrough.data.dsprites import load
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_grid import Parameters
from seethrough.studies.squeeze import train_all
from seethrough.studies.trained_runs import announce


def test_runs_are_trained_once(
    grid: Parameters, store: ArtifactStore, capsys: pytest.CaptureFixture[str]
) -> None:
    train_all(grid, store)
    capsys.readouterr()
    again = train_all(grid, store)
    assert "training" not in capsys.readouterr().err
    assert [run.config for run in again] == grid.training_configs()


def test_length_is_announced_before_training(
    store: ArtifactStore, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Parameters(
        n_train=20, n_heldout=10, k_start=9, k_end=3, widths=(12,), positions=("latent",),
        epochs=2, batch_size=10, seeds=(7,),
    )  # fmt: skip
    train_all(tiny, store)
    error = capsys.readouterr().err
    assert error.index("training 1 run(s), 40 images in all") < error.index("latent/12 seed 7")


def test_a_run_reads_back_what_was_trained(grid: Parameters, store: ArtifactStore) -> None:
    run = train_all(grid, store)[0]
    assert run.history.epochs == grid.epochs
    assert run.history.n_heldout == grid.n_heldout
    assert run.originals.shape == (8, 1, 64, 64)
    assert torch.equal(run.originals, run.heldout.images[:8] * 255)
    assert run.seconds > 0
    shown = run.history.tensors["pictures/beside/40"][-1]
    with torch.no_grad():
        again = run.model.vae.decode(run.codes(k=4).means_through_code[0][:8]).sigmoid()
    assert int((again.mul(255).round() - shown.float()).abs().max()) <= 1


def test_long_work_is_timed_first(grid: Parameters, capsys: pytest.CaptureFixture[str]) -> None:
    configs = [replace(config, epochs=1000) for config in grid.training_configs()[:1]]
    announce(configs, load())
    assert re.search(r"24,000 images in all, at about [\d,]+ images/s: at most [\d.]+ min",
                     capsys.readouterr().err)  # fmt: skip
