"""The weights of a pruned model in one small safetensors file.

Of a pruned weight the file holds the mask, one bit per weight, and the kept values in row-major
order; of everything else the tensor as it is. At 70 % sparsity that is a third of the dense size,
or a sixth with kept values in float16.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from seethrough.pruning.apply_masks import require_pruned
from seethrough.training.checkpoint import below, contiguous

FORMAT = "seethrough-sparse-1"
VALUE_TYPES = (torch.float32, torch.float16)


def save_sparse_checkpoint(
    path: Path,
    model: nn.Module,
    masks: Mapping[str, Bool[Tensor, "_ _"]],
    values: torch.dtype = torch.float32,
) -> None:
    """Write the model's state to one file, complete or not there at all.

    Kept weights are stored as `values`: float32 gives back the same bits, float16 rounds.

    Raises ValueError for another type, a mask that fits no linear layer, a pruned weight that is
    not zero, or a kept weight too large for float16. Nothing is written then.
    """
    if values not in VALUE_TYPES:
        allowed = ", ".join(map(str, VALUE_TYPES))
        raise ValueError(f"values is {values}, allowed are {allowed}")
    require_pruned(model, masks)
    state = contiguous(model.state_dict())
    stored: dict[str, Tensor] = {}
    for name, mask in masks.items():
        weight, mask = state.pop(f"{name}.weight"), mask.cpu()
        stored[f"mask/{name}"] = pack_bits(mask)
        stored[f"kept/{name}"] = _as(weight[mask], values, name)
    stored |= {f"dense/{name}": tensor for name, tensor in state.items()}
    shapes = {name: list(mask.shape) for name, mask in masks.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    # One key: safetensors writes several in a random order, and equal models give equal files.
    save_file(stored, temporary, {FORMAT: json.dumps(shapes)})
    os.replace(temporary, path)


def load_sparse_checkpoint(path: Path, model: nn.Module) -> dict[str, Bool[Tensor, "_ _"]]:
    """Put the stored weights into the model and return its masks, on the CPU.

    Raises ValueError for a file of another kind or a damaged one, and lists the first five names or
    shapes that do not fit the model. The model is changed only if all fit.
    """
    state, masks = read_sparse_checkpoint(path)
    _require_fit(path, state, model)
    model.load_state_dict(state)
    return masks


def read_sparse_checkpoint(
    path: Path,
) -> tuple[dict[str, Tensor], dict[str, Bool[Tensor, "_ _"]]]:
    """Return the state dict, pruned weights in dense float32, and the masks, all on the CPU.

    Raises ValueError for a file of another kind or a damaged one.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is no safetensors file: {error}") from error
    if FORMAT not in metadata:
        raise ValueError(f"{path} has metadata {sorted(metadata)}, allowed is {FORMAT!r}")
    state, masks = below(stored, "dense/"), {}
    for name, shape in json.loads(metadata[FORMAT]).items():
        bits, kept = stored.get(f"mask/{name}"), stored.get(f"kept/{name}")
        if bits is None or kept is None:
            raise ValueError(f"{path} names the pruned layer {name} but does not hold it")
        masks[name] = unpack_bits(bits, tuple(shape))
        n_kept = int(masks[name].count_nonzero())
        if kept.shape != (n_kept,):
            raise ValueError(
                f"{path} has {kept.numel()} kept weights of {name}, its mask keeps {n_kept}"
            )
        weight = torch.zeros(tuple(shape))
        weight[masks[name]] = kept.float()
        state[f"{name}.weight"] = weight
    return state, masks


def pack_bits(mask: Bool[Tensor, "out in"]) -> UInt8[Tensor, " bytes"]:
    """Return the mask as bits in row-major order, first bit highest, last byte filled with 0."""
    return torch.from_numpy(np.packbits(mask.cpu().numpy()))


def unpack_bits(bits: Tensor, shape: tuple[int, int]) -> Bool[Tensor, "out in"]:
    """Return the mask of this shape that `pack_bits` made the bits from.

    Raises ValueError for anything but as many bytes as the shape needs.
    """
    needed = -(-shape[0] * shape[1] // 8)
    if bits.dtype != torch.uint8 or bits.shape != (needed,):
        raise ValueError(
            f"a mask of shape {shape} needs {needed} bytes, "
            f"got {bits.numel()} numbers of {bits.dtype}"
        )
    flat = np.unpackbits(bits.numpy(), count=shape[0] * shape[1])
    return torch.from_numpy(flat.view(np.bool_)).view(shape)


def _as(kept: Float[Tensor, " n"], values: torch.dtype, name: str) -> Float[Tensor, " n"]:
    converted = kept.to(values)
    if bool((converted.isinf() & kept.isfinite()).any()):
        raise ValueError(
            f"{name} has a weight of size {float(kept.abs().max())}, allowed in {values} is at "
            f"most {torch.finfo(values).max}"
        )
    return converted


def _require_fit(path: Path, state: Mapping[str, Tensor], model: nn.Module) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in state.items()}
    wrong = [
        f"{name}: {given.get(name, 'missing')} in the file, {wanted.get(name, 'none')} in the model"
        for name in sorted(wanted.keys() | given.keys())
        if given.get(name) != wanted.get(name)
    ]
    if wrong:
        first = "; ".join(wrong[:5])
        raise ValueError(f"{path} does not fit the model in {len(wrong)} tensors: {first}")
