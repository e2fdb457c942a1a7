"""Binary tasks of a classifier: does an image belong to one of these classes?

With logits f over all classes and S the set of classes, the score of an image is

    z = logsumexp(f in S) - logsumexp(f outside S),   so that   sigmoid(z) = p(S),

for a single class c its logit minus the logsumexp of all others. Examples come as equally many
positives, whose class is in S, and negatives; the loss is the binary cross-entropy of z.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTask:
    """A set of classes to be told from the rest."""

    name: str
    """What the classes have in common, such as "sphere"."""
    classes: tuple[int, ...]
    """The classes, each once, at least one."""

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise ValueError(f"classes are {self.classes}, allowed is one or more, each once")
        if min(self.classes) < 0:
            raise ValueError(f"classes hold {min(self.classes)}, allowed is at least 0")

    def members(self, n_classes: int) -> Bool[Tensor, " C"]:
        """Return True for the classes of the set, on the CPU.

        Raises:
            ValueError: a class that is not there, or no class left outside.
        """
        if max(self.classes) >= n_classes:
            raise ValueError(
                f"task {self.name!r} has the class {max(self.classes)}, allowed is 0 to "
                f"{n_classes - 1}"
            )
        if len(self.classes) == n_classes:
            raise ValueError(f"task {self.name!r} has all {n_classes} classes and leaves no rest")
        members = torch.zeros(n_classes, dtype=torch.bool)
        members[list(self.classes)] = True
        return members


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskExamples:
    """Images of a task by index, equally many of both kinds."""

    task: ClassTask
    """The task."""
    positives: Int64[Tensor, " pairs"]
    """Indices of images whose class is in the set."""
    negatives: Int64[Tensor, " pairs"]
    """Indices of images of other classes."""

    def __post_init__(self) -> None:
        if not 0 < len(self.positives) == len(self.negatives):
            raise ValueError(
                f"task {self.task.name!r} has {len(self.positives)} positives and "
                f"{len(self.negatives)} negatives, allowed are equally many, at least one"
            )


def balanced_examples(
    images: LabelledImages,
    index: Int64[Tensor, " N"],
    task: ClassTask,
    n_pairs: int,
    generator: torch.Generator,
) -> TaskExamples:
    """Return `n_pairs` positives and negatives drawn from `index` without replacement.

    Where one kind has fewer images than that, as many of both as it has. The generator's device is
    the CPU.

    Raises:
        ValueError: `n_pairs` below 1, no positives or no negatives, a class that is not there, or
            an index outside the images.
    """
    if n_pairs < 1:
        raise ValueError(f"n_pairs is {n_pairs}, allowed is at least 1")
    images.require_indices(index)
    positive = task.members(len(images.class_names))[images.labels[index.cpu()]]
    kinds = {"positives": index[positive], "negatives": index[~positive]}
    for kind, rows in kinds.items():
        if not len(rows):
            raise ValueError(
                f"task {task.name!r} has no {kind} among {len(index)} images of {images.name}"
            )
    n = min(n_pairs, *map(len, kinds.values()))
    drawn = {
        kind: rows[torch.randperm(len(rows), generator=generator)[:n]]
        for kind, rows in kinds.items()
    }
    return TaskExamples(task=task, **drawn)


def shuffled_examples(examples: TaskExamples, generator: torch.Generator) -> TaskExamples:
    """Return the same images with their labels dealt anew at random: the control without a task."""
    pool = torch.cat([examples.positives, examples.negatives])
    dealt = pool[torch.randperm(len(pool), generator=generator)]
    positives, negatives = dealt.chunk(2)
    return TaskExamples(task=examples.task, positives=positives, negatives=negatives)


def task_scores(
    logits: Float[Tensor, "masks ... C"], members: Bool[Tensor, "masks C"]
) -> Float[Tensor, "masks ..."]:
    """Return the log odds of the set of classes, one set per mask; NaN where a logit is NaN.

    >>> logits = torch.tensor([[[1.0, 1.0, 1.0, 1.0]]])
    >>> task_scores(logits, torch.tensor([[True, False, False, False]]))  # log of 1 to 3
    tensor([[-1.0986]])
    """
    # One set for all images of a mask.
    inside = members.view(len(members), *[1] * (logits.ndim - 2), -1)
    impossible = float("-inf")
    of_set = logits.masked_fill(~inside, impossible).logsumexp(dim=-1)
    of_rest = logits.masked_fill(inside, impossible).logsumexp(dim=-1)
    return of_set - of_rest


def task_losses(
    positives: Float[Tensor, "masks pairs"], negatives: Float[Tensor, "masks pairs"]
) -> Float[Tensor, " masks"]:
    """Return the mean binary cross-entropy of scores, in nats, for each mask.

    A positive costs -log sigmoid(z), a negative -log sigmoid(-z); a score of 0 costs log 2.
    """
    return (F.softplus(-positives) + F.softplus(negatives)).mean(dim=1) / 2
