"""Weights from every source fit or are refused with a reason; no pickle and no network unasked."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from seethrough.data.preprocessing import Preprocessing
from seethrough.models.pretrained import (
    WeightsError,
    load_classifier,
    preprocessing_of,
    read_state,
)

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
# timm's small model for tests, 160 x 160 pixels.
NAME = "test_vit"
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may ask the hub for a file; a test that wants to replaces this."""

    def refuse(*_: object, **__: object) -> str:
        raise AssertionError("the hub was asked for a file")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)


@pytest.fixture
def state() -> State:
    return dict(load_classifier(NAME, "random", n_classes=7, seed=5).model.state_dict())


@pytest.fixture
def save(tmp_path: Path) -> Callable[[State], Path]:
    def save(state: State) -> Path:
        save_file(state, tmp_path / "weights.safetensors")
        return tmp_path / "weights.safetensors"

    return save


def test_random_weights_hang_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first, again, other = (load_classifier(NAME, "random", seed=s).model for s in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    states = [model.state_dict() for model in (first, again, other)]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert not torch.equal(states[0]["head.weight"], states[2]["head.weight"])


def test_classifier_says_what_it_is() -> None:
    classifier = load_classifier("deit3_small_patch16_224.fb_in1k", "random", n_classes=12)
    assert (classifier.name, classifier.n_classes) == ("deit3_small_patch16_224.fb_in1k", 12)
    assert classifier.preprocessing == Preprocessing(
        size=224, crop_fraction=0.9, interpolation="bicubic"
    )
    assert not classifier.model.training
    assert classifier.model.head.out_features == 12


def test_number_of_classes_is_timms_by_default() -> None:
    assert load_classifier("test_vit", "random").n_classes == 1000
    with pytest.raises(ValueError, match="has no classes of its own, needed is n_classes"):
        load_classifier("vit_small_patch14_dinov2", "random")


@pytest.mark.parametrize("wrapper", [None, "model", "state_dict"])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin"])
def test_torch_files(tmp_path: Path, state: State, wrapper: str | None, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    torch.save({wrapper: state} if wrapper else state, path)
    found = load_classifier(NAME, path)
    assert found.n_classes == 7
    assert_equal(found.model.state_dict(), state)


def test_safetensors(state: State, save: Callable[[State], Path]) -> None:
    found = load_classifier(NAME, str(save(state)), n_classes=7)
    assert not found.model.training
    assert_equal(found.model.state_dict(), state)
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    random = load_classifier(NAME, "random", n_classes=7, seed=5).model
    with torch.inference_mode():
        assert torch.equal(found.model(images), random(images))


def test_half_precision_becomes_float32(state: State, save: Callable[[State], Path]) -> None:
    found = load_classifier(NAME, save({key: value.half() for key, value in state.items()}))
    assert {value.dtype for value in found.model.state_dict().values()} == {torch.float32}


def test_deit3_names_of_layer_scale(tmp_path: Path) -> None:
    expected = dict(load_classifier("deit3_small_patch16_224", "random", 3).model.state_dict())
    expected["blocks.11.ls2.gamma"] = torch.rand(384, generator=torch.Generator().manual_seed(0))
    original = {
        key.replace("ls1.gamma", "gamma_1").replace("ls2.gamma", "gamma_2"): value
        for key, value in expected.items()
    }
    assert "blocks.11.gamma_2" in original
    torch.save({"model": original}, tmp_path / "deit_3.pth")
    assert_equal(
        load_classifier("deit3_small_patch16_224", tmp_path / "deit_3.pth").model.state_dict(),
        expected,
    )


def assert_equal(found: State, expected: State) -> None:
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert torch.equal(found[key], value), key


def test_misfit_lists_five_of_each_kind(state: State, save: Callable[[State], Path]) -> None:
    changed = {key.replace("blocks.0", "layers.0"): value for key, value in state.items()}
    changed["norm.bias"] = torch.zeros(3)
    n_moved = sum(key.startswith("blocks.0.") for key in state)
    with pytest.raises(WeightsError) as error:
        load_classifier(NAME, save(changed))
    message = str(error.value)
    assert f"does not fit the model {NAME}: {n_moved} missing: blocks.0." in message
    assert f"{n_moved} unexpected: layers.0." in message
    width = len(state["norm.bias"])
    assert f"1 of another shape: norm.bias (3,), expected ({width},)" in message
    assert message.count("blocks.0.") == message.count("layers.0.") == 5


def test_another_model_does_not_fit(state: State, save: Callable[[State], Path]) -> None:
    with pytest.raises(WeightsError, match=r"does not fit the model deit_tiny_patch16_224: "):
        load_classifier("deit_tiny_patch16_224", save(state))


def test_another_number_of_classes_does_not_fit(
    state: State, save: Callable[[State], Path]
) -> None:
    with pytest.raises(WeightsError, match=r"2 of another shape: head.weight \(7, .*expected \(9"):
        load_classifier(NAME, save(state), n_classes=9)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


# torch says so of a pickle that it did not write.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("writer", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_objects_are_not_made(tmp_path: Path, writer: Callable[[Any, Path], Any]) -> None:
    mark = tmp_path / "unpickled"
    writer({"model": Trap(mark)}, tmp_path / "trap.pth")
    with pytest.raises(WeightsError, match=r"trap.pth holds more than tensors"):
        load_classifier(NAME, tmp_path / "trap.pth")
    assert not mark.exists()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_truncated_file_is_refused(tmp_path: Path, state: State, suffix: str) -> None:
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state, path)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(WeightsError, match="is not a complete (torch|safetensors) file"):
        read_state(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("content", [b"", b"no torch file", bytes(range(256)) * 20])
def test_other_content_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights.pth (is not a complete|holds more than)"):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"model": {"lr": 0.1}}, 5])
def test_torch_file_without_a_state_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(WeightsError, match="something else than names with tensors"):
        read_state(tmp_path / "weights.pth")


@pytest.mark.parametrize("weights", ["", "nowhere.pth", "Pretrained"])
def test_missing_file_is_refused(weights: str) -> None:
    with pytest.raises(
        WeightsError, match=f"weights '{weights}' are no file: allowed are 'random', 'pretrained'"
    ):
        load_classifier(NAME, weights)


def test_other_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"ends in '.npz', allowed are .safetensors, .pth"):
        load_classifier(NAME, tmp_path / "weights.npz")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("deit3_base_patch16", r"'deit3_base_patch16' is unknown .*nearest are deit3_base_patch16"),
        ("deit3base", "nearest are .*deit3_base"),
        ("q", r"'q' is unknown to timm [\d.]+$"),
        ("", "model '' is unknown"),
        ("deit3_base_patch16_224.fb_in1", r"tag 'fb_in1' is unknown \(did you mean fb_in1k\?\)"),
        ("resnet18", "model resnet18 has the class ResNet; allowed is timm's VisionTransformer"),
    ],
)
def test_wrong_names_are_refused(name: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load_classifier(name, "random")


def test_wrong_number_of_classes_is_refused() -> None:
    with pytest.raises(ValueError, match="n_classes is 0, allowed is at least 1"):
        load_classifier(NAME, "random", n_classes=0)


def test_published_weights_come_from_the_hub(
    state: State, save: Callable[[State], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, asked = save(state), []

    def download(repository: str, filename: str) -> str:
        asked.append((repository, filename))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    found = load_classifier("test_vit.r160_in1k", "pretrained", n_classes=7)
    assert asked == [("timm/test_vit.r160_in1k", "model.safetensors")]
    assert_equal(found.model.state_dict(), state)


def test_unpublished_weights_are_refused() -> None:
    with pytest.raises(
        WeightsError, match="vit_base_patch32_plus_256 has no published weights, allowed"
    ):
        load_classifier("vit_base_patch32_plus_256", "pretrained")


def test_failed_download_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ConnectionError("no route\nto the host")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(
        WeightsError,
        match=r"cannot be fetched \(ConnectionError: no route\); without network, fetch "
        r"model.safetensors of timm/deit3_base_patch16_224.fb_in1k .* give its path as weights",
    ):
        load_classifier("deit3_base_patch16_224", "pretrained")


def test_forbidden_download_says_what_to_do(tmp_path: Path) -> None:
    """The hub's own switch, in a process of its own, since it is read at import."""
    script = (
        "from seethrough.models.pretrained import WeightsError, load_classifier\n"
        "try: load_classifier('deit3_base_patch16_224', 'pretrained')\n"
        "except WeightsError as error: print(error)"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert "the weights of deit3_base_patch16_224 cannot be fetched" in done.stdout
    assert "without network, fetch model.safetensors" in done.stdout
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    "changes", [{"input_size": (3, 224, 192)}, {"crop_mode": "squash"}, {"crop_mode": "border"}]
)
def test_other_inputs_than_a_centred_square_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="allowed is a square cut from the centre"):
        preprocessing_of({"input_size": (3, 224, 224), "crop_pct": 0.9} | changes)


def test_deit_tiny_loads() -> None:
    path = SHARED / "deit_tiny_patch16_224.safetensors"
    if not path.is_file():
        pytest.skip("DeiT-Tiny's weights are not at ../shared/data")
    classifier = load_classifier("deit_tiny_patch16_224", path)
    assert classifier.n_classes == 1000
    assert sum(p.numel() for p in classifier.model.parameters()) == 5_717_416
