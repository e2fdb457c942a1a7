"""Training of the package's models: the file that comes out, resumption, the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from seethrough.data.shapes3d_classes import split
from seethrough.models import embedded, train_classifier, train_embedded
from seethrough.models.accuracy import accuracy
from seethrough.models.train_classifier import ClassifierTraining

NAME = "shapes3d_vit"
TRAINING = ClassifierTraining(epochs=1, batch_size=4, learning_rate=1e-3, seed=2)
"""Two steps."""


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Eight images to train on, six held out, and weights in a folder of their own."""
    monkeypatch.setattr(train_embedded, "N_TRAIN", 8)
    monkeypatch.setattr(train_embedded, "N_HELDOUT", 6)
    monkeypatch.setattr(train_embedded, "TRAINING", TRAINING)
    monkeypatch.setattr(train_embedded, "user_cache_path", lambda _: tmp_path / "cache")
    monkeypatch.setattr(embedded, "WEIGHTS", tmp_path / "weights")


def test_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "weights" / f"{NAME}.safetensors"
    top_1 = train_embedded.train_embedded(NAME, TRAINING, tmp_path / "run", path)
    model = embedded.load_embedded(NAME).model
    start = embedded.build(NAME, seed=2)
    assert not torch.equal(model.head.weight, start.head.weight)
    found = accuracy(model, embedded.images_of(NAME), split(6)[1])
    assert top_1 == found.top_1.value
    provenance = embedded.provenance_of(NAME)
    assert provenance["command"] == f"python -m seethrough.models.train_embedded {NAME}"
    assert (provenance["n_train"], provenance["n_heldout"]) == (8, 6)
    assert (provenance["top_1"], provenance["top_5"]) == (top_1, found.top_5.value)
    assert ClassifierTraining(**provenance["training"]) == TRAINING
    assert provenance["images"] == embedded.images_of(NAME).name
    assert (provenance["torch"], provenance["device"]) == (torch.__version__, "cpu")
    assert provenance["seconds"] >= 0
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["provenance"]) == provenance


def test_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "out" / "w.safetensors"
    train_embedded.train_embedded(NAME, TRAINING, tmp_path / "run", path)
    assert [file.name for file in path.parent.iterdir()] == ["w.safetensors"]
    assert not [file for file in (tmp_path / "run").rglob("*") if file.is_file()]


def test_a_stopped_run_goes_on_and_the_next_starts_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three runs of two steps: one whole; one stopped before its second; one after a finished."""
    steps: list[int] = []
    step = train_classifier.train_step

    def counting(*arguments: Any) -> Any:
        if len(steps) == 3:
            steps.append(0)
            raise KeyboardInterrupt
        steps.append(1)
        return step(*arguments)

    def train(name: str) -> dict[str, bytes]:
        path = tmp_path / name
        train_embedded.train_embedded(NAME, TRAINING, tmp_path / "run", path)
        return {key: tensor.numpy().tobytes() for key, tensor in load_file(path).items()}

    monkeypatch.setattr(train_classifier, "train_step", counting)
    monkeypatch.setattr(train_classifier, "STEPS_BETWEEN_CHECKPOINTS", 1)
    whole = train("whole.safetensors")
    with pytest.raises(KeyboardInterrupt):
        train("pieces.safetensors")
    assert not (tmp_path / "pieces.safetensors").exists()
    assert train("pieces.safetensors") == whole
    assert steps == [1, 1, 1, 0, 1]
    assert train("again.safetensors") == whole
    assert steps == [1, 1, 1, 0, 1, 1, 1]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "chosen.safetensors"
    train_embedded.main([NAME, "--out", str(path)])
    output = capsys.readouterr()
    assert output.out.startswith(f"{path}: ")
    assert output.out.endswith(" % of 6 held-out images are right\n")
    assert f"{NAME}: 2 steps of 4 images" in output.err
    assert load_file(path).keys() == embedded.build(NAME).state_dict().keys()
    assert not (tmp_path / "weights").exists()


def test_the_packages_own_file_is_the_default(tmp_path: Path) -> None:
    train_embedded.main([NAME])
    assert [file.name for file in (tmp_path / "weights").iterdir()] == [f"{NAME}.safetensors"]


def test_unknown_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train_embedded.main(["shapes_vit"])
    assert "invalid choice: 'shapes_vit'" in capsys.readouterr().err
