"""Train node masks: which nodes does a task need when every other stands at its mean?

Weights are frozen; tau is learned by AdamW on

    binary cross-entropy of the task + kappa * (number of active nodes),

one mask for every pair of task and kappa, all in one run, several in one pass through the model
where that helps. Masks do not see each other: each has its own loss, its own gradient norm and its
own moments. All start from the same tau and meet their examples in the same order, so masks of one
seed differ by task and kappa alone. Method:
{cite:t}`gao2025weightsparse`; penalties and epochs: {cite:t}`zhang2026impact`.

The whole state is kept after every `STEPS_BETWEEN_CHECKPOINTS` steps: a run that was killed goes on
from there and ends with the same bytes as one that was not.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int64
from torch import Tensor, nn
from tqdm import tqdm

from seethrough.circuits.class_tasks import TaskExamples, task_losses, task_scores
from seethrough.circuits.mask_sites import NodeLayout, node_layout
from seethrough.circuits.mask_state import (
    MaskState,
    check_state,
    initial_state,
    load_state,
    save_state,
)
from seethrough.circuits.mask_training import MaskTraining
from seethrough.circuits.masked_forward import masked_logits
from seethrough.circuits.node_mask import LIMIT, node_gates
from seethrough.data.labelled_images import LabelledImages
from seethrough.training.allocator import keep_freed_memory
from seethrough.training.device import thread_count
from seethrough.training.initialise import generator_for

STEPS_BETWEEN_CHECKPOINTS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedMasks:
    """What training made, on the CPU; tasks and kappas in the order in which they were given."""

    layout: NodeLayout
    """Where the nodes stand."""
    tau: Float32[Tensor, "tasks kappas nodes"]
    """Learned parameters; a node is active if its tau is above 0."""
    losses: Float64[Tensor, "steps tasks kappas"]
    """Binary cross-entropy of every step, nats, without the price of nodes."""
    n_active: Int64[Tensor, "steps tasks kappas"]
    """Active nodes at every step, before its update."""


def train_masks(
    model: nn.Module,
    images: LabelledImages,
    examples: Sequence[TaskExamples],
    means: Float[Tensor, " channels"],
    training: MaskTraining,
    workspace: Path,
    label: str = "masks",
) -> LearnedMasks:
    """Return the masks learned for every task at every kappa.

    The model moves to the training's device and is not changed otherwise. With kappa = 0 only the
    task decides. A mask may lose all nodes, and the model then answers every image alike, or keep
    them all. Checkpoints live in `workspace/checkpoint`.

    Raises:
        ValueError: no task, tasks with different numbers of examples, means that do not fit, a
            model that is not plain, or a task with a class the model lacks.
        TrainingDivergedError: a loss or a tau that is not finite; the last checkpoint then stays.
    """
    n_pairs = _common_pairs(examples)
    keep_freed_memory()
    model.to(training.device)
    layout, members = node_layout(model, training.granularity), _members(model, examples, training)
    total, path = training.steps(n_pairs), workspace / "checkpoint" / "masks.safetensors"
    state = initial_state(layout.n_nodes, total, len(members), training)
    done = load_state(path, state) if path.exists() else 0
    names = [e.task.name for e in examples]
    with (
        thread_count(training.threads),
        tqdm(total=total, initial=done, desc=label, unit="step", file=sys.stderr) as bar,
    ):
        for step in range(done, total):
            rows = batch_rows(n_pairs, step, training)
            inputs = _images_of(images, examples, rows, next(model.parameters()))
            for group in state.optimizer.param_groups:
                group["lr"] = training.rate(step, total)
            found = mask_step(model, inputs, members, means, layout, state, training)
            state.losses[step], state.n_active[step] = found
            bar.update()
            if (step + 1) % STEPS_BETWEEN_CHECKPOINTS == 0 or step + 1 == total:
                kept = step // STEPS_BETWEEN_CHECKPOINTS * STEPS_BETWEEN_CHECKPOINTS
                check_state(state, step + 1, kept, names, training)
                save_state(path, state, step + 1)
    shape = (len(examples), len(training.kappas))
    return LearnedMasks(
        layout=layout,
        tau=torch.unflatten(state.tau.detach().cpu(), 0, shape),
        losses=torch.unflatten(state.losses.cpu(), 1, shape),
        n_active=torch.unflatten(state.n_active.cpu(), 1, shape),
    )


def mask_step(
    model: nn.Module,
    inputs: Float[Tensor, "tasks B 3 H W"],
    members: Bool[Tensor, "masks C"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
    state: MaskState,
    training: MaskTraining,
) -> tuple[Float[Tensor, " masks"], Int64[Tensor, " masks"]]:
    """Take one step, in place; return every mask's task loss and active nodes before it.

    The first half of each task's images are positives.
    """
    state.optimizer.zero_grad()
    n_masks, at_once = len(state.tau), training.masks_per_pass
    of_pass = [
        _pass(model, inputs, members, means, layout, state.tau, masks, training)
        for masks in torch.split(torch.arange(n_masks, device=state.tau.device), at_once)
    ]
    losses, n_active = (torch.cat(part) for part in zip(*of_pass, strict=True))
    clip_rows(state.tau, training.clip)
    state.optimizer.step()
    with torch.no_grad():
        state.tau.clamp_(-LIMIT, LIMIT)
    return losses, n_active


def _pass(
    model: nn.Module,
    inputs: Float[Tensor, "tasks B 3 H W"],
    members: Bool[Tensor, "all_masks C"],
    means: Float[Tensor, " channels"],
    layout: NodeLayout,
    tau: Float32[Tensor, "all_masks nodes"],
    masks: Int64[Tensor, " masks"],
    training: MaskTraining,
) -> tuple[Float[Tensor, " masks"], Int64[Tensor, " masks"]]:
    """Add the gradients of some masks to those of tau; return their task losses and sizes."""
    task, kappa = masks // len(training.kappas), masks % len(training.kappas)
    gates = node_gates(tau[masks], training.temperature)
    logits = masked_logits(model, inputs[task], gates.to(inputs), means, layout)
    positives, negatives = task_scores(logits, members[masks]).chunk(2, dim=1)
    losses, n_active = task_losses(positives, negatives), gates.sum(dim=1)
    prices = torch.tensor(training.kappas).to(losses)[kappa]
    # Masks share no parameter, so the sum trains each as if it were alone.
    (losses + prices * n_active).sum().backward()  # type: ignore[no-untyped-call]
    return losses.detach(), n_active.detach().long()


def clip_rows(parameter: Float[Tensor, "masks nodes"], limit: float) -> None:
    """Shorten the gradient of every row to the limit if its norm is above it, in place."""
    gradient = parameter.grad
    assert gradient is not None
    norm = gradient.norm(dim=1, keepdim=True)
    # Written so that a norm of 0 divides nothing and NaN stays NaN.
    gradient.mul_(limit / norm.clamp(min=limit))


def batch_rows(n_pairs: int, step: int, training: MaskTraining) -> Int64[Tensor, "2 b"]:
    """Return which positives and which negatives a step reads; an epoch reads each once."""
    epoch, batch = divmod(step, training.steps(n_pairs) // training.epochs)
    generator = generator_for(training.seed, "examples", epoch)
    orders = torch.stack([torch.randperm(n_pairs, generator=generator) for _ in range(2)])
    return orders[:, batch * training.batch_pairs : (batch + 1) * training.batch_pairs]


def _images_of(
    images: LabelledImages,
    examples: Sequence[TaskExamples],
    rows: Int64[Tensor, "2 b"],
    like: Tensor,
) -> Float[Tensor, "tasks B 3 H W"]:
    """Return each task's images at these rows, positives first, as `like` in kind and place."""
    index = [torch.cat([e.positives[rows[0]], e.negatives[rows[1]]]) for e in examples]
    found = images.images(torch.cat(index).to(like.device)).to(like)
    return torch.unflatten(found, 0, (len(examples), -1))


def _members(
    model: Any, examples: Sequence[TaskExamples], training: MaskTraining
) -> Bool[Tensor, "masks C"]:
    """Return the classes of every mask's task, on the training's device."""
    members = torch.stack([e.task.members(model.head.out_features) for e in examples])
    return members.repeat_interleave(len(training.kappas), dim=0).to(training.device)


def _common_pairs(examples: Sequence[TaskExamples]) -> int:
    """Return the number of pairs that all tasks have."""
    numbers = {len(e.positives) for e in examples}
    if len(numbers) != 1:
        raise ValueError(
            f"tasks trained at once need one number of positives, got {sorted(numbers)}"
        )
    return numbers.pop()
