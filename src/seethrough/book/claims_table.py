"""The directive that shows the papers' claims beside what was measured, with a verdict on each.

    :::{claims}
    :paper: collapse
    :::

The claims are read from ``book/claims.yml``, the measurements from the result files of the
reference run and of this run. The page depends on all of them. A claim that does not fit its
result, a result file that is missing, or a row that no result has, is a warning: the strict
build fails.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from seethrough.book.claims_file import CLAIMS_FILE, JUDGED_RUNS, read_claims, unknown_rows
from seethrough.book.result_files import MissingResult, near, read_result, result_file
from seethrough.book.result_role import ERROR_CLASS, format_interval, format_value, typeset
from seethrough.claims import RULES, VERDICTS, Claim, ClaimError, Outcome, PaperValue, judge
from seethrough.claims.rules import NOT_TESTED, shown
from seethrough.results import Row, StudyResult

ROW_CLASS = "claim"
"""Class of a table row that holds one claim; the gates count them."""
VERDICT_CLASS = "verdict"
"""Class of a verdict in a row; the gates demand one per run."""
COLUMNS = (
    ("Id", 9),
    ("Claim and rule", 35),
    ("Paper", 12),
    *((h, 22) for h in JUDGED_RUNS.values()),
)

logger = logging.getLogger(__name__)


def paper_text(value: PaperValue | None) -> str:
    """Return the paper's value for a reader; fractions in per cent."""
    if value is None:
        return "no value given"
    if value.mean is None:
        return value.text
    if value.unit == "fraction":
        spread = "" if value.sd is None else f" ± {100 * value.sd:.1f}"
        return typeset(f"{100 * value.mean:.1f}{spread}%")
    spread = "" if value.sd is None else f" ± {value.sd:g}"
    return typeset(f"{value.mean:g}{spread} {value.unit}".rstrip())


def measured_text(claim: Claim, result: StudyResult | None) -> str:
    """Return the claim's rows as measured; empty when there is no row to show."""
    rows = {row.id: row for row in result.rows} if result else {}
    measured = [rows[name] for name in claim.rows if name in rows]
    if len(measured) == 1:
        return format_interval(measured[0], per_cent=measured[0].unit == "fraction")
    return " → ".join(mean_text(row) for row in measured)


def mean_text(row: Row) -> str:
    """Return the mean of a row for a reader; fractions in per cent."""
    return format_value(row.mean, ".1%" if row.unit == "fraction" else ".3g")


def rule_text(claim: Claim) -> str:
    """Return the claim's rule with its numbers and the least run that counts."""
    if claim.rule == "none":
        return "none yet"
    unit = claim.value.unit if claim.value else ""
    parts = [claim.rule.replace("_", " ")]
    if claim.direction_above is not None:
        parts.append(f"direction above {typeset_reason(shown(claim.direction_above, unit))}")
    if claim.tolerance is not None:
        parts.append(f"tolerance ±{claim.tolerance:g}")
    least = [
        f"{name} = {value}" if isinstance(value, str) else f"{name} ≥ {value:g}"
        for name, value in claim.requires.items()
    ]
    if least:
        parts.append(f"for runs with {', '.join(least)}")
    return "; ".join(parts)


def entry(*children: nodes.Node) -> nodes.entry:
    """Return a table cell."""
    return nodes.entry("", *children)


def small(text: str) -> nodes.paragraph:
    """Return a paragraph in small print."""
    return nodes.paragraph("", text, classes=["small-print"])


class ClaimsTable(SphinxDirective):
    """Render the table of claims, a count of verdicts and the rules in words."""

    option_spec: ClassVar[dict[str, Callable[[str], str]]] = {"paper": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        """Return the table and what explains it."""
        self.root = Path(self.env.srcdir)
        self.env.note_dependency(str(self.root / CLAIMS_FILE))
        try:
            claims = self.chosen(read_claims(self.root))
        except (OSError, ClaimError) as error:
            return [self.failure(f"claims: {error}")]
        tested = [claim for claim in claims if claim.rule != "none"]
        pairs = [(claim.study_of(source), source) for source in JUDGED_RUNS for claim in tested]
        self.results = {
            (study, source): self.result(study, source)
            for study, source in dict.fromkeys(pairs)
            if study is not None
        }
        self.counts: dict[str, Counter[str]] = {source: Counter() for source in JUDGED_RUNS}
        table = self.table(claims)  # fills the counts
        return [*self.summary(), table, *self.rules(claims)]

    def chosen(self, claims: Sequence[Claim]) -> list[Claim]:
        """Return the claims of the paper named in the options, or all."""
        paper = self.options.get("paper")
        if paper is None:
            return list(claims)
        kept = [claim for claim in claims if claim.paper == paper]
        if not kept:
            raise ClaimError(f"no claim is of paper {paper!r}; {near(paper, self.papers(claims))}")
        return kept

    @staticmethod
    def papers(claims: Sequence[Claim]) -> list[str]:
        """Return the names of the papers, each once."""
        return list(dict.fromkeys(claim.paper for claim in claims))

    def result(self, study: str, source: str) -> StudyResult | None:
        """Return a result; None where it is missing, with a warning where it should be there.

        A study without a notebook runs outside the book: it has a reference run alone.
        """
        path = result_file(self.root, source, study)
        if source == "this" and not (self.root / "notebooks" / f"{study}.ipynb").is_file():
            return None
        self.env.note_dependency(str(path))
        try:
            return read_result(self.root, source, study)
        except MissingResult as error:
            self.warn(f"claims: {error}")
            return None

    def result_of(self, claim: Claim, source: str) -> StudyResult | None:
        """Return the result that speaks to `claim` from `source`, or None."""
        return self.results.get((claim.study_of(source) or "", source))

    def warn(self, sentence: str) -> None:
        """Log a warning at this directive's place."""
        logger.warning("%s", sentence, location=self.get_location())

    def failure(self, sentence: str) -> nodes.Node:
        """Return the mark of a failure in the page, and log the warning."""
        self.warn(sentence)
        return nodes.paragraph("", f"[{sentence}]", classes=[ERROR_CLASS])

    def table(self, claims: Sequence[Claim]) -> nodes.Node:
        """Return the table, one row per claim."""
        group = nodes.tgroup("", cols=len(COLUMNS))
        group += [nodes.colspec("", colwidth=width) for _, width in COLUMNS]
        titles = [entry(nodes.paragraph("", title)) for title, _ in COLUMNS]
        group += nodes.thead("", nodes.row("", *titles))
        group += nodes.tbody("", *[self.row(claim) for claim in claims])
        return nodes.table("", group, classes=["claims-table", "colwidths-given"])

    def row(self, claim: Claim) -> nodes.row:
        """Return the row of one claim, with an anchor such as ``#claim-col-01``."""
        self.check_rows(claim)
        words = self.parse_text_to_nodes(claim.claim)
        note = self.parse_text_to_nodes(claim.note) if claim.note else []
        for paragraph in note:
            paragraph["classes"].append("small-print")  # type: ignore[index]
        cells = [
            entry(nodes.paragraph("", "", nodes.strong("", claim.id)), small(claim.standing)),
            entry(*words, *note, small(f"Rule: {rule_text(claim)}.")),
            entry(nodes.paragraph("", paper_text(claim.value))),
            *[self.run_cell(claim, source) for source in JUDGED_RUNS],
        ]
        return nodes.row("", *cells, classes=[ROW_CLASS], ids=[f"claim-{claim.id.lower()}"])

    def check_rows(self, claim: Claim) -> None:
        """Warn when a row that the claim names is in neither run: its id is likely mistyped."""
        found = [self.result_of(claim, source) for source in JUDGED_RUNS]
        known = [row.id for result in found if result for row in result.rows]
        for sentence in unknown_rows(claim, known) if known else []:
            self.warn(f"claims: {sentence}")

    def run_cell(self, claim: Claim, source: str) -> nodes.entry:
        """Return the cell of one run: the verdict, what was measured and why."""
        result = self.result_of(claim, source)
        try:
            outcome = judge(claim, result)
        except ClaimError as error:
            return entry(self.failure(f"claims: {error}"))
        if result is None and source == "this" and claim.rule != "none":
            outcome = Outcome(verdict=NOT_TESTED, reason="computed in the reference run alone")
        self.counts[source][outcome.verdict] += 1
        kind = outcome.verdict.replace(" ", "-")
        badge = nodes.inline("", outcome.verdict, classes=[VERDICT_CLASS, f"verdict-{kind}"])
        measured = measured_text(claim, result)
        shown_rows = [nodes.paragraph("", measured)] if measured else []
        reason = small(typeset_reason(outcome.reason))
        return entry(nodes.paragraph("", "", badge), *shown_rows, reason)

    def summary(self) -> list[nodes.Node]:
        """Return how often each verdict was reached, and which runs were read."""
        items = []
        for source, title in JUDGED_RUNS.items():
            counted = [f"{self.counts[source][v]} {v}" for v in VERDICTS if self.counts[source][v]]
            runs = [
                f"{study}: profile {result.provenance.profile} on {result.provenance.device}"
                for (study, where), result in self.results.items()
                if where == source and result
            ]
            origin = f" ({'; '.join(runs)})" if runs else ""
            text = nodes.Text(f"{origin}: {', '.join(counted)}.")
            items.append(
                nodes.list_item("", nodes.paragraph("", "", nodes.strong("", title), text))
            )
        return [nodes.bullet_list("", *items)]

    def rules(self, claims: Sequence[Claim]) -> list[nodes.Node]:
        """Return the rules in words, those that the shown claims use."""
        used = [RULES[name] for name in dict.fromkeys(claim.rule for claim in claims)]
        items = [
            nodes.definition_list_item(
                "",
                nodes.term("", rule.name.replace("_", " ")),
                nodes.definition("", nodes.paragraph("", rule.words)),
            )
            for rule in used
            if rule.name != "none"
        ]
        items.append(
            nodes.definition_list_item(
                "",
                nodes.term("", NOT_TESTED),
                nodes.definition("", nodes.paragraph("", NOT_TESTED_WORDS)),
            )
        )
        heading = nodes.rubric("", "How a verdict is reached")
        return [heading, nodes.definition_list("", *items)]


NOT_TESTED_WORDS = (
    "Said when no study tests the claim yet, when the run lacks a row that the rule reads, when it "
    "is smaller than the claim requires (the numbers after the rule), or when it has one seed and "
    "the rule needs a spread."
)


def typeset_reason(reason: str) -> str:
    """Return a reason with proper minus signs before numbers and spaced per cent signs."""
    words = [
        typeset(word) if word.lstrip("(±-")[:1].isdigit() else word for word in reason.split(" ")
    ]
    return " ".join(words).replace(" %", "\N{NARROW NO-BREAK SPACE}%")
