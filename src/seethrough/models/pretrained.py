"""Vision transformers by timm's names, with random, local or published weights.

Weights are read from safetensors, or from torch files by the reader that takes nothing but
tensors; no object of a pickle is ever made. Published weights are the safetensors that timm's
authors keep on the Hugging Face hub, fetched only where the caller asks for them.
"""

import pickle
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from seethrough.data.preprocessing import Preprocessing
from seethrough.models.plain_vit import meta_model
from seethrough.unknown_name import unknown

# isort: split
import timm
from timm.data.config import resolve_data_config
from timm.models.vision_transformer import VisionTransformer

RANDOM, PRETRAINED = "random", "pretrained"
TORCH_SUFFIXES = (".pth", ".pt", ".bin")
FILE_ON_HUB = "model.safetensors"
WRAPPERS = ("model", "state_dict")
"""Names under which torch files keep the state they wrap."""
N_LISTED = 5
FAMILIES = ("vision_transformer", "deit")
"""timm's modules that hold plain vision transformers."""


class WeightsError(ValueError):
    """Weights that cannot be had, read or fitted to the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A vision transformer ready to classify."""

    model: VisionTransformer
    """The network, in eval mode, on the CPU, in float32."""
    name: str
    """timm's name, with its tag if one was given."""
    preprocessing: Preprocessing
    """What timm says its input should be."""
    n_classes: int
    """C, the number of logits."""


def load_classifier(
    name: str, weights: str | Path, n_classes: int | None = None, seed: int = 0
) -> Classifier:
    """Return timm's vision transformer `name` with weights.

    `weights` is "random" (timm's initial values, drawn with `seed`, which nothing else uses),
    "pretrained" (the published ones, from the Hugging Face hub or its cache on this machine: the
    only case that touches the network), or the path of a safetensors or torch file in timm's or
    DeiT's naming. `n_classes` is what the head must have; None takes what the weights have, and
    for random weights what timm says.

    >>> load_classifier("test_vit", "random", n_classes=3).model.head.out_features
    3

    Raises:
        ValueError: an unknown name, or a model that is no plain vision transformer (see
            `seethrough.models.plain_vit`), or n_classes below 1.
        WeightsError: weights that cannot be fetched or read, or do not fit (a ValueError too).
    """
    _require_name(name)
    if n_classes is not None and n_classes < 1:
        raise ValueError(f"n_classes is {n_classes}, allowed is at least 1")
    if weights == RANDOM:
        model = _random(name, n_classes, seed)
    else:
        path = _fetch(name) if weights == PRETRAINED else _local(weights)
        model = _filled(name, path, n_classes)
    described: Any = model.pretrained_cfg
    return Classifier(
        model=model,
        name=name,
        preprocessing=preprocessing_of(described),
        n_classes=int(model.num_classes),
    )


def preprocessing_of(pretrained_cfg: Mapping[str, Any]) -> Preprocessing:
    """Return the evaluation transform that timm's configuration of some weights describes.

    Raises ValueError for inputs that are not square or not cropped at the centre.
    """
    config: Any = resolve_data_config(pretrained_cfg=dict(pretrained_cfg))  # type: ignore[no-untyped-call]
    _, height, width = config["input_size"]
    if height != width or config["crop_mode"] != "center":
        raise ValueError(
            f"the input is {height} x {width} with the crop mode {config['crop_mode']!r}, allowed "
            "is a square cut from the centre"
        )
    return Preprocessing(
        size=height,
        crop_fraction=float(config["crop_pct"]),
        interpolation=config["interpolation"],
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )


def read_state(path: Path) -> dict[str, Tensor]:
    """Return name to tensor of a safetensors or torch file, in timm's naming.

    DeiT's torch files keep their state under "model"; DeiT-III's own name for LayerScale,
    blocks.N.gamma_1 and gamma_2, becomes blocks.N.ls1.gamma and ls2.gamma.

    Raises WeightsError for another kind of file, a damaged one, or one that holds objects.
    """
    if path.suffix not in (".safetensors", *TORCH_SUFFIXES):
        raise WeightsError(
            f"{path} ends in {path.suffix!r}, allowed are .safetensors, {', '.join(TORCH_SUFFIXES)}"
        )
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return {
        re.sub(r"^(blocks\.\d+\.)gamma_([12])$", r"\1ls\2.gamma", k): v for k, v in state.items()
    }


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a complete safetensors file ({error})") from error


def _read_torch(path: Path) -> dict[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} holds more than tensors, or is no torch file, and is not opened further: "
            "save its state dict alone, best as safetensors"
        ) from error
    # Damaged bytes make torch's reader raise many kinds of exceptions.
    except Exception as error:
        raise WeightsError(f"{path} is not a complete torch file ({_reason(error)})") from error
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise WeightsError(
            f"{path} holds something else than names with tensors, bare or under "
            f"{' or '.join(map(repr, WRAPPERS))}"
        )
    return dict(state)


def _random(name: str, n_classes: int | None, seed: int) -> VisionTransformer:
    head: dict[str, Any] = {} if n_classes is None else {"num_classes": n_classes}
    _require_head(name, meta_model(name, **head))
    # timm draws from torch's generator of the CPU: it is seeded for that long, and put back.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model: Any = timm.create_model(name, pretrained=False, **head)
    vit: VisionTransformer = model.eval()
    return vit


def _filled(name: str, path: Path, n_classes: int | None) -> VisionTransformer:
    state = read_state(path)
    if n_classes is None and "head.weight" in state:
        n_classes = len(state["head.weight"])
    model = meta_model(name, **({} if n_classes is None else {"num_classes": n_classes}))
    _require_head(name, model)
    _require_fit(name, path, model.state_dict(), state)
    model = model.to_empty(device="cpu")
    model.load_state_dict(state)
    return model


def _require_name(name: str) -> None:
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        names = [n for family in FAMILIES for n in timm.list_models(module=family)]
        near = get_close_matches(architecture, names, n=3, cutoff=0.5)
        hint = f"; nearest are {', '.join(near)}" if near else ""
        raise ValueError(f"model {name!r} is unknown to timm {timm.__version__}{hint}")
    tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{architecture}.*")]
    if tag and tag not in tags:
        raise ValueError(f"model {architecture}: tag {unknown(tag, tags)}")


def _require_head(name: str, model: VisionTransformer) -> None:
    if not model.num_classes:
        raise ValueError(f"model {name} has no classes of its own, needed is n_classes")


def _require_fit(
    name: str, path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]
) -> None:
    faults = {
        "missing": [key for key in expected if key not in found],
        "unexpected": [key for key in found if key not in expected],
        "of another shape": [
            f"{key} {tuple(found[key].shape)}, expected {tuple(tensor.shape)}"
            for key, tensor in expected.items()
            if key in found and found[key].shape != tensor.shape
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{len(v)} {kind}: {_first(v)}" for kind, v in faults.items() if v)
        raise WeightsError(f"{path} does not fit the model {name}: {listed}")


def _local(weights: str | Path) -> Path:
    if not Path(weights).is_file():
        raise WeightsError(
            f"weights {str(weights)!r} are no file: allowed are {RANDOM!r}, {PRETRAINED!r} and the "
            "path of a safetensors or torch file"
        )
    return Path(weights)


def _fetch(name: str) -> Path:
    """Return the file of the published weights, in the hub's cache, fetched if it is not there."""
    from huggingface_hub import hf_hub_download

    described: Any = meta_model(name).pretrained_cfg
    repository = described.get("hf_hub_id")
    if not repository:
        raise WeightsError(
            f"model {name} has no published weights, allowed are a file and {RANDOM!r}"
        )
    try:
        return Path(hf_hub_download(repository, FILE_ON_HUB))
    # The hub's client raises its own, its HTTP library's and the system's exceptions.
    except Exception as error:
        raise WeightsError(
            f"the weights of {name} cannot be fetched ({_reason(error)}); without network, fetch "
            f"{FILE_ON_HUB} of {repository} from the Hugging Face hub on another machine and give "
            "its path as weights"
        ) from error


def _first(keys: Iterable[str]) -> str:
    listed = list(keys)
    return ", ".join(listed[:N_LISTED]) + (", ..." if len(listed) > N_LISTED else "")


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]
