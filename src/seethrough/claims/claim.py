"""What a claim of a paper consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field


class ClaimError(ValueError):
    """A claim that is not well formed or does not fit its result; one sentence with its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperValue:
    """What the paper reports: a number with its spread, or a statement in words."""

    mean: float | None = None
    """The reported number, in `unit`; None when there is only a text."""
    sd: float | None = None
    """The reported spread after the plus-minus sign, in `unit`; None when not reported."""
    unit: str = ""
    """Unit as in the result's rows: ``fraction`` for shares between 0 and 1; empty without one."""
    text: str = ""
    """The statement in words, when there is no number."""

    def __post_init__(self) -> None:
        """Refuse a value that is both a number and a text, or neither."""
        if (self.mean is None) == (not self.text):
            raise ValueError(f"got mean {self.mean!r} and text {self.text!r}, allowed exactly one")
        if self.sd is not None and (self.mean is None or self.sd < 0):
            raise ValueError(f"got sd {self.sd!r}, allowed a number of at least 0 beside a mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of a paper, and what in this project speaks to it."""

    id: str
    """Short name, such as COL-01."""
    paper: str
    """Name of the paper's page: impact, collapse or psychophysics."""
    claim: str
    """The statement in our words; inline Markdown."""
    standing: str
    """Where we have it from: abstract, blog, second-hand note, derived, ..."""
    value: PaperValue | None = None
    """The paper's value; None when it gives none."""
    study: str | None = None
    """The study that tests it; None when none does yet."""
    reference_study: str | None = None
    """The study behind the reference run, where it is another one than `study`."""
    rows: tuple[str, ...] = ()
    """Ids of the rows that the rule reads, in the rule's order."""
    groups: tuple[tuple[str, ...], ...] = ()
    """For same_order: the same cells in the same order in each list. For the rules on pairs: lists
    of two rows."""
    rule: str = "none"
    """Name of an entry of `seethrough.claims.RULES`."""
    direction_above: float | None = None
    """For within_two_sd: the value above which the claim's direction holds, in the rows' unit."""
    tolerance: float | None = None
    """For unchanged: the largest difference that counts as no change, in the rows' unit."""
    bound: float | None = None
    """For below and keeps: what the number must stay below, or reach, in the rows' unit."""
    requires: Mapping[str, float | str] = field(default_factory=dict)
    """Parameter -> least value (a number) or the very value (a text) of a run that counts."""
    note: str = ""
    """A remark shown below the claim; inline Markdown."""

    def study_of(self, source: str) -> str | None:
        """Return the name of the study whose ``reference`` or ``this`` run is compared."""
        return self.reference_study or self.study if source == "reference" else self.study

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Every row id that the claim names, each once, in order of appearance."""
        named = [*self.rows, *(row for group in self.groups for row in group)]
        return tuple(dict.fromkeys(named))
