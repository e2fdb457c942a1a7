"""The role that puts the verdict on a claim into the prose.

    {verdict}`COL-05`
    {verdict}`this:COL-05`

The parts are ``[SOURCE:]ID``.

- SOURCE: ``reference`` (the committed run, the default) or ``this`` (the run on this machine).
- ID: the id of a claim in ``book/claims.yml``, in full: ``COL-01a``, not ``COL-01``.

The text is the verdict that the table of claims shows for that run. Where nothing was there to
judge the role does not say "not tested": an unknown id, a claim with the rule none, a result file
or a row that is missing is a warning that names what is near, and leaves a red mark in the page.
A run that has the rows and is smaller than the claim requires is judged as in the table. The page
depends on the claims and on the result file, so a change of either rebuilds it.
"""

from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from seethrough.book.claims_file import CLAIMS_FILE, JUDGED_RUNS, read_claims, unknown_rows
from seethrough.book.result_files import MissingResult, near, read_result, result_file
from seethrough.book.result_role import ERROR_CLASS
from seethrough.claims import Claim, judge

INLINE_CLASS = "verdict-inline"
"""Class of a verdict in the prose; not the table's, whose verdicts the gates count."""

logger = logging.getLogger(__name__)


def parse_verdict(text: str) -> tuple[str, str]:
    """Return the source and the id in the role's text; without a source, the reference run.

    Raises:
        ValueError: no id, or a source whose results are not judged.
    """
    source, colon, id = text.strip().rpartition(":")
    source = source if colon else "reference"
    if not id:
        raise ValueError(f"got {text!r}, expected [SOURCE:]ID")
    if source not in JUDGED_RUNS:
        raise ValueError(f"got source {source!r}, allowed {', '.join(JUDGED_RUNS)}")
    return source, id


def claim_of(root: Path, id: str) -> Claim:
    """Return the claim with this id in the book at `root`.

    Raises:
        MissingResult: no such claim; the sentence names the nearest.
        OSError: there is no file of claims.
        ClaimError: a claim in the file that is not well formed.
    """
    claims = {claim.id: claim for claim in read_claims(root)}
    if id not in claims:
        raise MissingResult(f"{CLAIMS_FILE} has no claim {id!r}; {near(id, list(claims))}")
    return claims[id]


def study_behind(claim: Claim, source: str) -> str:
    """Return the study whose run from `source` speaks to `claim`.

    Raises:
        MissingResult: the claim has the rule none, so no run is judged.
    """
    study = claim.study_of(source)
    if claim.rule == "none" or study is None:
        raise MissingResult(f"{claim.id} has the rule none: no run is judged")
    return study


def verdict_on(claim: Claim, root: Path, source: str) -> str:
    """Return the verdict on `claim` of the run from `source`, as in the table of claims.

    Raises:
        MissingResult: the claim has the rule none, or the run lacks the result file or a row.
        ClaimError: a claim that does not fit the result (unit, parameter or seeds).
    """
    study = study_behind(claim, source)
    result = read_result(root, source, study)
    absent = unknown_rows(claim, [row.id for row in result.rows])
    if absent:
        shown = result_file(root, source, study).relative_to(root).as_posix()
        raise MissingResult(f"{shown}: {absent[0]}")
    return judge(claim, result).verdict


class VerdictRole(SphinxRole):
    """Replace the role by the verdict, and make the page depend on what it is computed from."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Return one inline node: the verdict, or a mark beside a warning."""
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / CLAIMS_FILE))
        try:
            source, id = parse_verdict(self.text)
            claim = claim_of(root, id)
            path = result_file(root, source, study_behind(claim, source))
            self.env.note_dependency(str(path))
            text, classes = verdict_on(claim, root, source), [INLINE_CLASS]
        except (MissingResult, OSError, ValueError) as error:
            logger.warning("verdict %r: %s", self.text, error, location=self.get_location())
            text, classes = f"[no verdict: {self.text}]", [ERROR_CLASS]
        return [nodes.inline(self.rawtext, text, classes=classes)], []
