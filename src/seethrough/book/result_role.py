"""The role that puts a measured number into the prose.

    {result}`this:collapse_dead_neurons:dead_share/beside/500:interval%`
    {result}`reference:collapse_dead_neurons:dead_share/beside/500.sd:.1%`
    {result}`this:collapse_dead_neurons:@parameters.epochs`

The parts are ``SOURCE:STUDY:ROW[.FIELD][:FORMAT]``.

- SOURCE: ``this`` (the run on this machine) or ``reference`` (the committed run).
- STUDY: the name of the study, which is the name of its notebook and of its result file.
- ROW: the id of a row; ``name/*`` for the only row below ``name``, whatever cell the run has; or
  ``@a.b`` for the entry ``b`` under ``a`` of the provenance.
- FIELD: ``mean`` (the default), ``sd``, ``low``, ``high``, ``n`` or ``unit``.
- FORMAT: a Python format specification (``.3g`` for numbers when left out), or ``interval`` or
  ``interval%`` for the mean with its 95 % interval over seeds.

A missing file, row or field is a warning that names the file and what is near, and leaves a red
mark in the page: the strict build fails on the first, the gates on the second. The page depends
on the result file, so a changed file rebuilds it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from seethrough.book.result_files import MissingResult, near, read_result, result_file
from seethrough.results import Row, StudyResult

ERROR_CLASS = "seethrough-error"
"""Class of the mark left in a page where a number should stand; the gates look for it."""

FIELDS = ("mean", "sd", "low", "high", "n", "unit")
NO_INTERVAL = "one seed, no interval"
THIN_SPACE = "\N{NARROW NO-BREAK SPACE}"
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotation:
    """The parts of one use of the role."""

    source: str
    """``this`` or ``reference``."""
    study: str
    """Name of the study."""
    row: str
    """Id of a row, or ``@`` and a path into the provenance."""
    field: str
    """One of `FIELDS`; without meaning for a provenance path."""
    format: str
    """A Python format specification, ``interval``, ``interval%`` or empty."""


def parse_quotation(text: str) -> Quotation:
    """Return the parts of the role's text.

    A row id may hold dots: only a last part that is one of `FIELDS` is taken as the field.

    Raises:
        ValueError: fewer than three parts, or an empty one.
    """
    parts = text.strip().split(":", 3)
    if len(parts) < 3 or not all(parts[:3]):
        raise ValueError(f"got {text!r}, expected SOURCE:STUDY:ROW[.FIELD][:FORMAT]")
    source, study, row = parts[:3]
    head, _, tail = row.rpartition(".")
    named = bool(head) and tail in FIELDS and not row.startswith("@")
    row, field = (head, tail) if named else (row, "mean")
    return Quotation(
        source=source, study=study, row=row, field=field, format=parts[3] if parts[3:] else ""
    )


def provenance_entry(result: StudyResult, path: str) -> Any:
    """Return the entry at a dotted `path` of the provenance, ``parameters.epochs`` for instance.

    Raises:
        MissingResult: no such entry; the sentence names the nearest.
    """
    provenance = result.provenance
    entry: Any = {part.name: getattr(provenance, part.name) for part in fields(provenance)}
    for name in path.split("."):
        if not isinstance(entry, Mapping) or name not in entry:
            known = list(entry) if isinstance(entry, Mapping) else []
            raise MissingResult(f"the provenance has no entry @{path}; {near(name, known)}")
        entry = entry[name]
    return entry


def typeset(text: str) -> str:
    """Return a formatted number with a minus sign, a power of ten and a spaced per cent sign."""
    mantissa, e, exponent = text.partition("e")
    if e and exponent.lstrip("+-").isdigit():
        text = f"{mantissa} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"
    return text.replace("-", "−").replace("%", f"{THIN_SPACE}%")


def format_value(value: Any, specification: str) -> str:
    """Return `value` as shown in the page.

    Numbers are shown by `specification` (``.3g`` when empty). An absent value, which is the
    spread of a single seed, reads "one seed, no interval"; NaN reads "undefined". Lists are
    joined by commas.

    Raises:
        ValueError: a specification that does not fit the value.
    """
    if value is None:
        return NO_INTERVAL
    if isinstance(value, (list, tuple)):
        return ", ".join(format_value(entry, specification) for entry in value)
    if isinstance(value, (str, bool)):
        return format(str(value), specification)
    if math.isnan(value):
        return "undefined"
    plain = "d" if isinstance(value, int) else ".3g"
    return typeset(format(value, specification or plain))


def format_interval(row: Row, *, per_cent: bool) -> str:
    """Return the mean of `row` with its 95 % interval over seeds and their number.

    One seed has no interval, and neither has a row with NaN; the text says so.
    """
    specification = ".1%" if per_cent else ".3g"
    mean = format_value(row.mean, specification)
    if row.low is None or row.high is None:
        return f"{mean} ({NO_INTERVAL if row.n == 1 else 'no interval'})"
    # "31.0 to 37.8 %": the unit once, after the upper end
    low = format_value(row.low, specification).removesuffix(f"{THIN_SPACE}%")
    high = format_value(row.high, specification)
    count = f"{row.n} seeds" if per_cent else f"n = {row.n}"
    return f"{mean} (95{THIN_SPACE}% interval {low} to {high}, {count})"


def complete_id(result: StudyResult, id: str) -> str:
    """Return the row id that ``name/*`` stands for; any other id as it is.

    A page about a run of one cell must not break when the reader chooses another cell.

    Raises:
        MissingResult: no row below the name, or several.
    """
    if not id.endswith("/*"):
        return id
    found = [row.id for row in result.rows if row.id.startswith(id[:-1])]
    if len(found) != 1:
        raise MissingResult(f"{id} stands for {len(found)} rows, allowed is one")
    return found[0]


def quote(quotation: Quotation, root: Path) -> str:
    """Return the text that stands for `quotation` in a page of the book at `root`.

    Raises:
        MissingResult: no such file, row, field or provenance entry.
        ValueError: an unknown source, or a format that does not fit.
    """
    result = read_result(root, quotation.source, quotation.study)
    shown = result_file(root, quotation.source, quotation.study).relative_to(root).as_posix()
    try:
        if quotation.row.startswith("@"):
            return format_value(provenance_entry(result, quotation.row[1:]), quotation.format)
        row = result.row(complete_id(result, quotation.row))
    except KeyError as error:
        raise MissingResult(f"{shown}: {error.args[0]}") from error
    except MissingResult as error:
        raise MissingResult(f"{shown}: {error}") from error
    if quotation.format in ("interval", "interval%"):
        if quotation.field != "mean":
            raise ValueError(f"an interval has no field, got .{quotation.field}")
        return format_interval(row, per_cent=quotation.format.endswith("%"))
    return format_value(getattr(row, quotation.field), quotation.format)


class ResultRole(SphinxRole):
    """Replace the role by the quoted number, and make the page depend on its file."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return one inline node: the number, or a mark beside a warning."""
        root = Path(self.env.srcdir)
        try:
            quotation = parse_quotation(self.text)
            path = result_file(root, quotation.source, quotation.study)
            self.env.note_dependency(str(path))
            text, classes = quote(quotation, root), ["result"]
        except (MissingResult, ValueError) as error:
            logger.warning("result %r: %s", self.text, error, location=self.get_location())
            text, classes = f"[no result: {self.text}]", [ERROR_CLASS]
        return [nodes.inline(self.rawtext, text, classes=classes)], []
