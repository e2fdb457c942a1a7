"""The history: means over records by hand, the last one shorter, and files."""

import torch

from seethrough.sae.sae_history import MEASURED, history_of, load_history, save_history


def test_means_by_hand():
    per_step = torch.arange(20.0).view(5, 4)  # loss 0, 4, 8, 12, 16; the others 1, 2, 3 more
    history = history_of(per_step, 2)
    assert history.steps.tolist() == [2, 4, 5]
    assert history.loss.tolist() == [2, 10, 16]
    assert history.fve.tolist() == [3, 11, 17]
    assert history.l0.tolist() == [4, 12, 18]
    assert history.dead_share.tolist() == [5, 13, 19]
    assert history_of(per_step, 100).loss.tolist() == [8]


def test_files_give_it_back(tmp_path):
    history = history_of(torch.randn(7, 4).double(), 3)
    save_history(history, tmp_path)
    found = load_history(tmp_path)
    for name in ("steps", *MEASURED):
        assert torch.equal(getattr(found, name), getattr(history, name))
