import pytest
import torch

from seethrough.training.device import check_device, thread_count


def test_cpu_is_always_there() -> None:
    check_device("cpu")


@pytest.mark.parametrize("device", ["tpu", "meta", "", "cuda:first"])
def test_other_devices_are_named(device: str) -> None:
    with pytest.raises(ValueError, match=f"^device is '{device}', allowed are cpu, cuda and cuda:"):
        check_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_is_refused_where_there_is_none(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match=f"^device is '{device}', but torch sees no CUDA device"):
        check_device(device)


@pytest.mark.parametrize("device", ["cuda", "cuda:0"])
def test_cuda_is_allowed_where_it_is(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    check_device(device)


def test_a_device_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_device("cuda:1")
    with pytest.raises(ValueError, match="^device is 'cuda:2', but torch sees only cuda:0 to "):
        check_device("cuda:2")


def test_threads_are_restored() -> None:
    before = torch.get_num_threads()
    with thread_count(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_threads_are_restored_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(RuntimeError, match="stopped"), thread_count(before + 1):
        raise RuntimeError("stopped")
    assert torch.get_num_threads() == before
