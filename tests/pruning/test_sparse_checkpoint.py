"""What is written comes back, small, or is refused by name."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from seethrough.pruning.apply_masks import apply_masks
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.pruning.sparse_checkpoint import (
    load_sparse_checkpoint,
    pack_bits,
    read_sparse_checkpoint,
    save_sparse_checkpoint,
    unpack_bits,
)

Maker = Callable[..., nn.Module]


def pruned(
    tiny_vit: Maker, sparsity: int | float = 0.7, **changes: object
) -> tuple[nn.Module, dict[str, Tensor]]:
    model = tiny_vit(**{"depth": 2, **changes})
    masks = prune_masks(model, (), PruningConfig(method="magnitude", sparsity=sparsity))
    apply_masks(model, masks)
    return model, masks


def rewrite(path: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Change the stored tensors and keep the metadata."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path, metadata)


@pytest.mark.parametrize("sparsity", [0, 0.3, 0.7, 1])
def test_float32_comes_back_bit_for_bit(
    tiny_vit: Maker, tmp_path: Path, sparsity: int | float
) -> None:
    model, masks = pruned(tiny_vit, sparsity)
    path = tmp_path / "new" / "model.safetensors"
    save_sparse_checkpoint(path, model, masks)
    other = tiny_vit(seed=1, depth=2)
    loaded = load_sparse_checkpoint(path, other)
    assert loaded.keys() == masks.keys()
    assert all(torch.equal(loaded[name], masks[name]) for name in masks)
    for name, tensor in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor)
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]


def test_equal_models_give_equal_files(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    files = [tmp_path / f"{number}.safetensors" for number in range(8)]
    for file in files:
        save_sparse_checkpoint(file, model, masks)
    assert len({file.read_bytes() for file in files}) == 1


def test_float16_rounds_kept_weights_and_nothing_else(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    save_sparse_checkpoint(tmp_path / "m.safetensors", model, masks, torch.float16)
    state, _ = read_sparse_checkpoint(tmp_path / "m.safetensors")
    for name, tensor in model.state_dict().items():
        stored = tensor.half().float() if name.removesuffix(".weight") in masks else tensor
        assert torch.equal(state[name], stored)


def test_a_kept_zero_stays_kept(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    row, column = masks["blocks.0.mlp.fc1"].nonzero()[0].tolist()
    with torch.no_grad():
        model.get_submodule("blocks.0.mlp.fc1").weight[row, column] = 0.0
    save_sparse_checkpoint(tmp_path / "m.safetensors", model, masks)
    assert load_sparse_checkpoint(tmp_path / "m.safetensors", model)["blocks.0.mlp.fc1"][
        row, column
    ]


@pytest.mark.parametrize(("values", "size"), [(torch.float32, 4), (torch.float16, 2)])
def test_the_file_is_as_small_as_it_says(
    tiny_vit: Maker, tmp_path: Path, values: torch.dtype, size: int
) -> None:
    model, masks = pruned(tiny_vit)
    save_sparse_checkpoint(tmp_path / "m.safetensors", model, masks, values)
    n_weights = sum(mask.numel() for mask in masks.values())
    n_kept = sum(int(mask.sum()) for mask in masks.values())
    others = sum(p.numel() for p in model.parameters()) - n_weights
    with safe_open(tmp_path / "m.safetensors", framework="pt") as file:
        stored = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118
    n_bytes = sum(tensor.nbytes for tensor in stored)
    assert n_bytes == n_weights // 8 + size * n_kept + 4 * others
    # Pruned layers at 70 %: 0.03 + 0.31 of their dense size in float32, 0.03 + 0.16 in float16.
    assert n_weights // 8 + size * n_kept < (0.35 if size == 4 else 0.19) * 4 * n_weights


def test_bits_by_hand() -> None:
    # Ten bits in row-major order, 11010 00001: 1101 0000 and 01, filled up with zeros.
    mask = torch.tensor([[1, 1, 0, 1, 0], [0, 0, 0, 0, 1]]).bool()
    assert pack_bits(mask).tolist() == [0b11010000, 0b01000000]
    assert torch.equal(unpack_bits(pack_bits(mask), (2, 5)), mask)


def test_a_failed_write_leaves_the_old_file(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    path = tmp_path / "m.safetensors"
    save_sparse_checkpoint(path, model, masks)
    before = path.read_bytes()
    with torch.no_grad():
        model.get_submodule("blocks.0.mlp.fc1").weight.fill_(1.0)
    with pytest.raises(ValueError, match=r"pruned weights must be zero, .* blocks\.0\.mlp\.fc1"):
        save_sparse_checkpoint(path, model, masks)
    assert path.read_bytes() == before


def test_what_cannot_be_written_is_refused(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    path = tmp_path / "m.safetensors"
    with pytest.raises(ValueError, match=r"values is torch\.int8, allowed are torch\.float32"):
        save_sparse_checkpoint(path, model, masks, torch.int8)
    with pytest.raises(ValueError, match="belong to no linear layer"):
        save_sparse_checkpoint(path, model, {"head.fc": torch.ones(5, 32, dtype=torch.bool)})
    with torch.no_grad():
        weight = model.get_submodule("blocks.1.attn.proj").weight
        weight[masks["blocks.1.attn.proj"]] = 1e5
    with pytest.raises(
        ValueError, match=r"blocks\.1\.attn\.proj has a weight of size 100000\.0, a"
    ):
        save_sparse_checkpoint(path, model, masks, torch.float16)
    assert not path.exists()


def test_another_model_lists_what_does_not_fit(tiny_vit: Maker, tmp_path: Path) -> None:
    model, masks = pruned(tiny_vit)
    path = tmp_path / "m.safetensors"
    save_sparse_checkpoint(path, model, masks)
    wide = tiny_vit(depth=2, num_classes=7)
    before = {name: tensor.clone() for name, tensor in wide.state_dict().items()}
    message = (
        r"in 2 tensors: head\.bias: \(5,\) in the file, \(7,\) in the model; "
        r"head\.weight: \(5, 32\) in the file, \(7, 32\) in the model"
    )
    with pytest.raises(ValueError, match=message):
        load_sparse_checkpoint(path, wide)
    assert all(torch.equal(tensor, before[name]) for name, tensor in wide.state_dict().items())
    with pytest.raises(
        ValueError, match=r"in 14 tensors: blocks\.2\..*: missing in the file"
    ) as deep:
        load_sparse_checkpoint(path, tiny_vit(depth=3))
    assert str(deep.value).count("in the file") == 5
    with pytest.raises(ValueError, match=r"in the file, none in the model"):
        load_sparse_checkpoint(path, tiny_vit(depth=1))


def test_other_files_are_refused(tiny_vit: Maker, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(b"not at all")
    with pytest.raises(ValueError, match=r"m\.safetensors is no safetensors file"):
        read_sparse_checkpoint(path)
    save_file({"head.weight": torch.ones(2)}, path)
    with pytest.raises(ValueError, match="has metadata .*, allowed is 'seethrough-sparse-1'"):
        read_sparse_checkpoint(path)
    with pytest.raises(FileNotFoundError):
        read_sparse_checkpoint(tmp_path / "nothing.safetensors")


NAME = "blocks.0.attn.qkv"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop(f"mask/{NAME}"), f"names the pruned layer {NAME} but does not hold it"),
        (lambda t: t.pop(f"kept/{NAME}"), f"names the pruned layer {NAME} but does not hold it"),
        (
            lambda t: t.update({f"kept/{NAME}": t[f"kept/{NAME}"][1:].clone()}),
            f"has 959 kept weights of {NAME}, its mask keeps 960",
        ),
        (
            lambda t: t.update({f"mask/{NAME}": t[f"mask/{NAME}"][1:].clone()}),
            r"a mask of shape \(96, 32\) needs 384 bytes, got 383 numbers of torch\.uint8",
        ),
        (
            lambda t: t.update({f"mask/{NAME}": t[f"mask/{NAME}"].float()}),
            r"needs 384 bytes, got 384 numbers of torch\.float32",
        ),
    ],
)
def test_damage_is_named(
    tiny_vit: Maker,
    tmp_path: Path,
    change: Callable[[dict[str, Tensor]], None],
    message: str,
) -> None:
    # 96 rows of 32 keep 32 - int(32 x 0.7) = 10 each: 960 weights, 384 bytes of mask.
    model, masks = pruned(tiny_vit)
    save_sparse_checkpoint(tmp_path / "m.safetensors", model, masks)
    rewrite(tmp_path / "m.safetensors", change)
    with pytest.raises(ValueError, match=message):
        read_sparse_checkpoint(tmp_path / "m.safetensors")
