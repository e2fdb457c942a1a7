"""Separated attribute predictability (SAP): the gap between the two best codes for each factor.

    SAP = 1/F sum_f (A_f(1) - A_f(2))

A_f(1) and A_f(2) are the largest and second largest test accuracies with which a linear support
vector machine names factor f from one code alone (kumar2018variational, section 3). The machine is
that of disentanglement_lib, scikit-learn's LinearSVC with C = 0.01 and balanced weights: for each
class c against the rest

    min_{w, b}  (w^2 + b^2) / 2 + C sum_i s_i max(0, 1 - y_i (w x_i + b))^2,

y_i = 1 and s_i = n / (K n_c) for the n_c images of class c, y_i = -1 and s_i = 1 for the others of
n images, K classes; the class of the largest w x + b is named. Two classes need one machine, with
s_i = n / (2 n_c) on both sides.

A problem has two unknowns, so it is solved exactly, by Newton's method (keerthi2005modified). The
loss depends on the images within the margin only, and with sorted values those are a prefix or a
suffix: with running sums of 1, x and x^2 a step costs two binary searches and no pass over the
images.

Symbols: n training images, m test images, M codes, F factors.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from seethrough.metrics.train_test import TrainTest

PENALTY = 0.01
"""C of the support vector machines."""
# About ten steps solve the slowest of a thousand codes. Rounding can move an image that lies on its
# margin in and out for ever; its loss is 0, so stopping then changes nothing.
MAX_NEWTON_STEPS = 50
# A step may raise the loss by this share of its first value, which is rounding; where it raises the
# loss more, it is halved.
ROUNDING = 1e-12
# Values sorted and summed at once, 8 bytes each.
BLOCK_VALUES = 1 << 21
# Scores compared at once: arrays that stay in a processor's cache (see BLOCK_SAMPLES_CPU in mig).
BLOCK_SCORES_CPU = 32_000
BLOCK_SCORES_DEVICE = 1 << 24


def sap_score(data: TrainTest) -> Float64[Tensor, ""]:
    """Return the SAP score, 0 to 1, the mean over factors.

    Two codes that serve equally give a gap of 0, so it is near 0 for an overcomplete code whatever
    the code is worth.

    Raises:
        ValueError: fewer than two codes, or what `sap_accuracies` refuses.
    """
    if data.codes_train.shape[1] < 2:
        raise ValueError(f"a gap needs at least 2 codes, got {data.codes_train.shape[1]}")
    best = sap_accuracies(data).topk(2, dim=0).values
    return (best[0] - best[1]).mean()


def sap_accuracies(data: TrainTest) -> Float64[Tensor, "M F"]:
    """Return the test accuracy, 0 to 1, of naming every factor from every code alone.

    Equal scores go to the lowest class. A dead code, constant in training, takes no special rule:
    its machines have their intercept only and name one class, with balanced weights the commonest,
    as disentanglement_lib has it for factors of classes. (There a code without variance scores 0
    for continuous factors only; 0 for all would raise the gap with every code that dies.)

    Raises:
        ValueError: a factor that is constant in the training images.
    """
    n, n_codes = data.codes_train.shape
    accuracies = [
        _accuracies(data, slice(start, start + step))
        for step in [max(1, BLOCK_VALUES // n)]
        for start in range(0, n_codes, step)
    ]
    return torch.cat(accuracies)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SortedValues:
    """Values of M codes on some images, with the running sums that the loss is made of."""

    values: Float64[Tensor, "M n"]
    """Values, ascending in each row."""
    sums: Float64[Tensor, "M steps 3"]
    """Sums of 1, x and x^2 over the first 0, 1, ..., n values."""

    @classmethod
    def of(cls, values: Float64[Tensor, "M n"]) -> "_SortedValues":
        """Return the values with their running sums."""
        ordered = values.sort(dim=1).values
        powers = torch.stack([torch.ones_like(ordered), ordered, ordered.square()], dim=2)
        return cls(values=ordered, sums=torch.nn.functional.pad(powers.cumsum(1), (0, 0, 1, 0)))

    def within(
        self, slope: Float64[Tensor, " M"], bound: Float64[Tensor, " M"]
    ) -> Float64[Tensor, "M 3"]:
        """Return the sums of 1, x and x^2 over the values with slope * x < bound.

        Values on the bound may be counted either way: their part of the loss is 0.
        """
        end = torch.where(slope == 0, torch.copysign(slope.new_tensor(torch.inf), bound), bound)
        position = torch.searchsorted(self.values, (end / slope.where(slope != 0, 1.0))[:, None])
        below = self.sums.gather(1, position[:, :, None].expand(-1, -1, 3))[:, 0]
        return torch.where(slope[:, None] < 0, self.sums[:, -1] - below, below)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Machines:
    """One problem for each of M codes: the images of one class against all others.

    Codes are measured from their mean, which leaves the penalty on the intercept of the original
    code: b = intercept - slope * centre.
    """

    inside: _SortedValues
    """Images of the class."""
    everything: _SortedValues
    """All images."""
    centre: Float64[Tensor, " M"]
    """Mean of each code."""
    weight_inside: float
    """C s_i of the images of the class."""
    weight_outside: float
    """C s_i of the others."""

    def loss(self, at: Float64[Tensor, "M 2"]) -> "_Loss":
        """Return the loss at (slope, intercept) of each code."""
        slope, intercept = at.unbind(dim=1)
        offset = intercept - slope * self.centre
        value = (slope.square() + offset.square()) / 2
        gradient = torch.stack([slope - self.centre * offset, offset], dim=1)
        ones = torch.ones_like(slope)
        second = torch.stack([1 + self.centre.square(), -self.centre, ones], dim=1)
        below, above = 1 - intercept, 1 + intercept
        inside = self.inside.within(slope, below)
        outside = self.everything.within(-slope, above) - self.inside.within(-slope, above)
        for sums, margin, sign, weight in (
            (inside, below, -1.0, self.weight_inside),
            (outside, above, 1.0, self.weight_outside),
        ):
            # The loss of an image is the square of r = margin + sign slope x.
            count, x, x2 = sums.unbind(dim=1)
            sum_r = margin * count + sign * slope * x
            sum_rx = margin * x + sign * slope * x2
            value = value + weight * (margin * sum_r + sign * slope * sum_rx)
            gradient = gradient + 2 * weight * sign * torch.stack([sum_rx, sum_r], dim=1)
            second = second + 2 * weight * torch.stack([x2, x, count], dim=1)
        piece = torch.stack([inside[:, 0], outside[:, 0], slope.sign()], dim=1)
        return _Loss(value=value, gradient=gradient, second=second, piece=piece)

    def solve(self) -> tuple[Float64[Tensor, " M"], Float64[Tensor, " M"]]:
        """Return the slopes and intercepts of least loss.

        The loss is quadratic in pieces: a full step that stays on its piece has arrived.
        """
        at = torch.zeros(len(self.centre), 2, dtype=torch.float64, device=self.centre.device)
        here = start = self.loss(at)
        moving = torch.ones_like(self.centre, dtype=torch.bool)
        for _ in range(MAX_NEWTON_STEPS):
            step = here.newton_step() * moving[:, None]
            limit = here.value + ROUNDING * start.value
            there = self.loss(at + step)
            full = torch.ones_like(moving)
            while bool((rises := there.value > limit).any()):
                full &= ~rises
                step = torch.where(rises[:, None], step / 2, step)
                there = self.loss(at + step)
            moving &= ~(full & (there.piece == here.piece).all(dim=1))
            at, here = at + step, there
            if not bool(moving.any()):
                break
        return at[:, 0], at[:, 1]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loss:
    """Loss of M problems at one point each."""

    value: Float64[Tensor, " M"]
    """Loss."""
    gradient: Float64[Tensor, "M 2"]
    """First derivatives with slope and intercept."""
    second: Float64[Tensor, "M 3"]
    """Second derivatives: slope twice, slope and intercept, intercept twice."""
    piece: Float64[Tensor, "M 3"]
    """Images within the margin on both sides, sign of the slope: together they name the piece."""

    def newton_step(self) -> Float64[Tensor, "M 2"]:
        """Return minus the inverse second derivative times the gradient."""
        a, b, d = self.second.unbind(dim=1)
        x, y = self.gradient.unbind(dim=1)
        return torch.stack([b * y - d * x, b * x - a * y], dim=1) / (a * d - b * b)[:, None]


def _accuracies(data: TrainTest, some: slice) -> Float64[Tensor, "some F"]:
    """Return the accuracies of some of the codes."""
    train = data.codes_train[:, some].double().T
    centre = train.mean(dim=1)
    # The mean of a constant code may be off by rounding, and what is left would pass for a signal.
    centre = torch.minimum(torch.maximum(centre, train.amin(dim=1)), train.amax(dim=1))
    train = (train - centre[:, None]).contiguous()
    test = (data.codes_test[:, some].double().T - centre[:, None]).contiguous()
    everything = _SortedValues.of(train)
    columns = []
    # A loop over factors, which are few; each has its own classes.
    for labels, labels_test in zip(data.factors_train.T, data.factors_test.T, strict=True):
        machines = _machines(train, everything, centre, labels)
        lines = [machine.solve() for machine in machines]
        classes = torch.unique(labels)
        slopes, intercepts = (torch.stack(part) for part in zip(*lines, strict=True))
        if len(classes) == 2:  # one machine: the lower class has the line 0
            slopes = torch.cat([torch.zeros_like(slopes), slopes])
            intercepts = torch.cat([torch.zeros_like(intercepts), intercepts])
        named = classes[_highest_line(slopes, intercepts, test)]
        columns.append((named == labels_test).double().mean(dim=1))
    return torch.stack(columns, dim=1)


def _machines(
    train: Float64[Tensor, "M n"],
    everything: _SortedValues,
    centre: Float64[Tensor, " M"],
    labels: Int64[Tensor, " n"],
) -> Iterator[_Machines]:
    """Yield the problems of one factor: one per class, or the upper of two classes."""
    classes, counts = torch.unique(labels, return_counts=True)
    n, n_classes = len(labels), len(classes)
    if n_classes < 2:
        raise ValueError("every factor must vary in the training images, got a constant one")
    balanced = [PENALTY * n / (n_classes * count) for count in counts.tolist()]
    weight_outside = PENALTY if n_classes > 2 else balanced[0]
    # A loop over classes: a problem costs little, and sorting dominates.
    for position in range(0 if n_classes > 2 else 1, n_classes):
        yield _Machines(
            inside=_SortedValues.of(train[:, labels == classes[position]]),
            everything=everything,
            centre=centre,
            weight_inside=balanced[position],
            weight_outside=weight_outside,
        )


def _highest_line(
    slopes: Float64[Tensor, "C M"],
    intercepts: Float64[Tensor, "C M"],
    values: Float64[Tensor, "M m"],
) -> Int64[Tensor, "M m"]:
    """Return which of its code's C lines is highest at each value; the first of equals."""
    highest = torch.empty(values.shape, dtype=torch.int64, device=values.device)
    on_cpu = values.device.type == "cpu"
    n_scores = BLOCK_SCORES_CPU if on_cpu else BLOCK_SCORES_DEVICE
    step = max(1, n_scores // values.shape[1])
    for start in range(0, len(values), step):
        some = slice(start, start + step)
        best = torch.addcmul(intercepts[0, some, None], slopes[0, some, None], values[some])
        winner = torch.zeros_like(best, dtype=torch.int64)
        for number in range(1, len(slopes)):  # in turn, so that equals stay with the first
            score = torch.addcmul(
                intercepts[number, some, None], slopes[number, some, None], values[some]
            )
            winner.masked_fill_(score > best, number)
            best = torch.maximum(best, score)
        highest[some] = winner
    return highest
