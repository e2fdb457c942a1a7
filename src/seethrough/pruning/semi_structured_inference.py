"""A 2:4 model on the GPU's sparse tensor cores: the same logits, and how long they take.

Unstructured sparsity has no such path: a vision transformer of 197 tokens is bound by arithmetic,
and a dense product with zeros in it takes as long as one without. Its value is the study.
"""

import copy
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.sparse import to_sparse_semi_structured

from seethrough.pruning.prunable_layers import SCOPE, prunable_layers

HALF_TYPES = (torch.bfloat16, torch.float16)
LEAST_CAPABILITY = (8, 0)
# torch refuses other shapes with its stricter backend.
ROW_MULTIPLE, COLUMN_MULTIPLE = 32, 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SemiStructuredReport:
    """What sparse tensor cores give on one model, batch and GPU."""

    device: str
    """Name of the GPU."""
    difference: float
    """Largest absolute difference between sparse and dense logits, both in the model's type."""
    rounding: float
    """Largest absolute difference between the dense logits and those in float32: the yardstick."""
    dense_milliseconds: float
    """Shortest forward pass with dense weights (the zeros multiplied)."""
    sparse_milliseconds: float
    """Shortest forward pass with compressed weights."""

    @property
    def speed_up(self) -> float:
        """Return dense over sparse time; below 1 the sparse pass is slower."""
        return self.dense_milliseconds / self.sparse_milliseconds


def semi_structured_obstacle(model: nn.Module, scope: Sequence[str] = SCOPE) -> str | None:
    """Return why the model cannot run on sparse tensor cores here, or None if it can.

    It needs a CUDA device of capability 8.0 or above, weights in bfloat16 or float16 whose rows
    hold at most 2 nonzeros in every 4, and a torch build whose kernels know the GPU, which is
    tried out on a small matrix.
    """
    layers = prunable_layers(model, scope)
    first = next(iter(layers.values())).weight
    if first.device.type != "cuda":
        return f"2:4 inference is not supported on {first.device.type}: it needs a CUDA device"
    capability = torch.cuda.get_device_capability(first.device)
    if capability < LEAST_CAPABILITY:
        return f"the GPU has compute capability {capability}, 2:4 needs {LEAST_CAPABILITY}"
    for name, layer in layers.items():
        obstacle = weight_obstacle(layer.weight)
        if obstacle:
            return f"{name} {obstacle}"
    return _trial(first)


def weight_obstacle(weight: Float[Tensor, "out in"]) -> str | None:
    """Return why one weight cannot be compressed, or None if it can."""
    if weight.dtype not in HALF_TYPES:
        return f"is {weight.dtype}, allowed are {' and '.join(map(str, HALF_TYPES))}"
    if weight.shape[0] % ROW_MULTIPLE or weight.shape[1] % COLUMN_MULTIPLE:
        return (
            f"has shape {tuple(weight.shape)}, allowed are multiples of "
            f"({ROW_MULTIPLE}, {COLUMN_MULTIPLE})"
        )
    nonzeros = (weight.detach() != 0).view(-1, 4).sum(dim=1)
    dense = int((nonzeros > 2).sum())
    return f"has {dense} groups of 4 with more than 2 nonzeros" if dense else None


@contextmanager
def semi_structured_weights(model: nn.Module, scope: Sequence[str] = SCOPE) -> Iterator[None]:
    """Inside the block, the layers of the scope hold compressed 2:4 weights, without gradients.

    Afterwards they hold the parameters they held before.

    Raises RuntimeError where `semi_structured_obstacle` names one.
    """
    with _holding(prunable_layers(model, scope), _compressed_weights(model, scope)):
        yield


@torch.no_grad()
def compare_semi_structured(
    model: nn.Module,
    images: Float[Tensor, "_ channels H W"],
    scope: Sequence[str] = SCOPE,
    rounds: int = 20,
) -> SemiStructuredReport:
    """Return the difference in logits and the times of both forms, minimum of `rounds`.

    The forms take turns; weights are compressed once, before any clock runs.

    Raises RuntimeError where `semi_structured_obstacle` names one.
    """
    layers, compressed = prunable_layers(model, scope), _compressed_weights(model, scope)
    dense = model(images)
    with _holding(layers, compressed):
        sparse = model(images)
    dense_times, sparse_times = [], []
    for _ in range(rounds):
        dense_times.append(_milliseconds(lambda: model(images)))
        with _holding(layers, compressed):
            sparse_times.append(_milliseconds(lambda: model(images)))
    exact = copy.deepcopy(model).float()(images.float())
    return SemiStructuredReport(
        device=torch.cuda.get_device_name(images.device),
        difference=float((sparse - dense).abs().max()),
        rounding=float((dense.float() - exact).abs().max()),
        dense_milliseconds=min(dense_times),
        sparse_milliseconds=min(sparse_times),
    )


@contextmanager
def _holding(
    layers: Mapping[str, nn.Linear], weights: Mapping[str, nn.Parameter]
) -> Iterator[None]:
    """Inside the block, the layers hold these weights."""
    before = {name: layer.weight for name, layer in layers.items()}
    try:
        for name, layer in layers.items():
            layer.weight = weights[name]
        yield
    finally:
        for name, layer in layers.items():
            layer.weight = before[name]


def _compressed_weights(model: nn.Module, scope: Sequence[str]) -> dict[str, nn.Parameter]:
    obstacle = semi_structured_obstacle(model, scope)
    if obstacle:
        raise RuntimeError(obstacle)
    return {
        name: nn.Parameter(_compressed(layer.weight), requires_grad=False)
        for name, layer in prunable_layers(model, scope).items()
    }


def _compressed(weight: Tensor) -> Tensor:
    with warnings.catch_warnings():
        # torch says once per process that the interface may change.
        warnings.filterwarnings("ignore", "The PyTorch API of SparseSemiStructuredTensor")
        return to_sparse_semi_structured(weight.detach().contiguous())


def _trial(weight: Tensor) -> str | None:
    """Return torch's complaint about a small product on the weight's device, or None."""
    pattern = torch.tensor([1.0, 1.0, 0.0, 0.0], device=weight.device, dtype=weight.dtype)
    matrix = pattern.tile(128, 32)
    try:
        nn.functional.linear(matrix, _compressed(matrix))
    except (RuntimeError, NotImplementedError) as error:
        return f"this torch has no 2:4 kernels for the GPU: {error}"
    return None


def _milliseconds(work: Callable[[], Tensor]) -> float:
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - started)
