"""Train a model that comes with the package: `python -m seethrough.models.train_embedded NAME`.

Takes about half an hour on one core. A run that was stopped goes on where it was.
"""

import argparse
import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import torch
from platformdirs import user_cache_path
from safetensors.torch import save_file

from seethrough.checkout import PACKAGE_FOLDER
from seethrough.data.shapes3d_classes import split
from seethrough.models.accuracy import accuracy
from seethrough.models.embedded import MODELS, build, images_of, weights_file
from seethrough.models.train_classifier import ClassifierTraining, train_classifier
from seethrough.provenance import device_name, git_state
from seethrough.training.checkpoint import contiguous
from seethrough.training.timing import TIMING_FILE, stored_seconds

TRAINING = ClassifierTraining(
    epochs=1, batch_size=64, learning_rate=1e-3, warmup=0.03, precision="bfloat16"
)
"""How they are trained. Images are many and cheap: none is seen twice."""
N_TRAIN, N_HELDOUT = 192_000, 5_000


def train_embedded(name: str, training: ClassifierTraining, folder: Path, path: Path) -> float:
    """Train the model and write its weights to `path`; return its accuracy on held-out images.

    `folder` keeps checkpoints until the weights are written. The file's header holds the
    provenance.
    """
    model, images = build(name, training.seed), images_of(name)
    train, heldout = split(N_HELDOUT)
    train_classifier(model, images, train[:N_TRAIN], training, folder, label=name)
    seconds = stored_seconds(folder)
    found = accuracy(model, images, heldout, device=training.device)
    commit, dirty = git_state(PACKAGE_FOLDER)
    provenance = {
        "command": f"python -m seethrough.models.train_embedded {name}",
        "images": images.name,
        "n_train": N_TRAIN,
        "n_heldout": N_HELDOUT,
        "training": asdict(training),
        "top_1": found.top_1.value,
        "top_5": found.top_5.value,
        "torch": torch.__version__,
        "device": device_name(training.device),
        "git_commit": commit,
        "git_dirty": dirty,
        "seconds": round(seconds),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    save_file(contiguous(model.state_dict()), temporary, {"provenance": json.dumps(provenance)})
    os.replace(temporary, path)
    # The next run starts anew: its code may be another.
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    (folder / TIMING_FILE).unlink()
    return found.top_1.value


def main(arguments: list[str] | None = None) -> None:
    """Train the model that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=sorted(MODELS))
    parser.add_argument("--out", type=Path, help="file to write, by default the package's own")
    options = parser.parse_args(arguments)
    folder = user_cache_path("seethrough") / "embedded" / options.name
    path = options.out or weights_file(options.name)
    steps = TRAINING.steps(N_TRAIN)
    print(f"{options.name}: {steps:,} steps of {TRAINING.batch_size} images", file=sys.stderr)
    top_1 = train_embedded(options.name, TRAINING, folder, path)
    print(f"{path}: {100 * top_1:.1f} % of {N_HELDOUT:,} held-out images are right")


if __name__ == "__main__":
    main()
