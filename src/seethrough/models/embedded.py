"""Small vision transformers that come with the package, trained by us, with where they come from.

They have the parts of DeiT-III (touvron2022deit3): LayerScale, a class token without a position of
its own, no distillation; 64 x 64 pixels in 8 x 8 patches, 6 blocks of 4 heads, width 128. Weights
are one safetensors file each, whose header holds the provenance of the training run.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from seethrough.data.labelled_images import LabelledImages
from seethrough.data.preprocessing import Preprocessing
from seethrough.data.shapes3d_classes import Shapes3DClasses, n_classes
from seethrough.models import torchvision_compatibility  # noqa: F401
from seethrough.models.pretrained import Classifier
from seethrough.training.initialise import derive_seed
from seethrough.unknown_name import unknown

# isort: split
from timm.models.vision_transformer import VisionTransformer

WEIGHTS = Path(__file__).with_name("weights")
IMAGE_SIZE, PATCH_SIZE, WIDTH, DEPTH, HEADS = 64, 8, 128, 6, 4
LAYER_SCALE = 0.1
"""Start of LayerScale. DeiT-III starts at 1e-4 or less for 800 epochs; one epoch is too short for
the branches to grow from there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """One of the package's models by name."""

    name: str
    """Name of the model and of its weights' file."""
    n_classes: int
    """C, the number of logits."""
    task: str
    """What it tells apart, in words."""


MODELS = {
    model.name: model
    for model in (
        Embedded(
            name="shapes3d_vit",
            n_classes=n_classes(),
            task="shape, size and object hue of rendered 3D Shapes under noise",
        ),
    )
}
"""Name -> model."""


def build(name: str, seed: int = 0) -> VisionTransformer:
    """Return the untrained model of this name, in eval mode; its start depends on the seed alone.

    Raises:
        ValueError: an unknown name.
    """
    # timm draws from torch's own generator on the CPU: it is seeded for that long, and put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(seed, "embedded", name))
        model = VisionTransformer(
            img_size=IMAGE_SIZE,
            patch_size=PATCH_SIZE,
            embed_dim=WIDTH,
            depth=DEPTH,
            num_heads=HEADS,
            num_classes=_spec(name).n_classes,
            init_values=LAYER_SCALE,
            no_embed_class=True,
        )
    return model.eval()


def load_embedded(name: str) -> Classifier:
    """Return the trained model of this name.

    Raises:
        ValueError: an unknown name.
    """
    model = build(name)
    model.load_state_dict(load_file(weights_file(name)))
    return Classifier(
        model=model,
        name=name,
        preprocessing=Preprocessing(
            size=IMAGE_SIZE, crop_fraction=None, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
        ),
        n_classes=_spec(name).n_classes,
    )


def images_of(name: str) -> LabelledImages:
    """Return the images that the model was made for; raise ValueError for an unknown name."""
    _spec(name)
    return Shapes3DClasses()


def provenance_of(name: str) -> dict[str, Any]:
    """Return what the header of the weights says of the training run that made them.

    Raises:
        ValueError: an unknown name.
    """
    with safe_open(weights_file(name), framework="pt") as file:
        found: dict[str, Any] = json.loads(file.metadata()["provenance"])
    return found


def weights_file(name: str) -> Path:
    """Return the file of the model's weights; raise ValueError for an unknown name."""
    return WEIGHTS / f"{_spec(name).name}.safetensors"


def _spec(name: str) -> Embedded:
    if name not in MODELS:
        raise ValueError(f"model {unknown(name, MODELS)}")
    return MODELS[name]
