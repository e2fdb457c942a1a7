"""The papers' claims, and verdicts on them by written rules.

``book/claims.yml`` is a list of claims. Each names a rule of `RULES`, which compares rows of a
study's result with the paper. The verdicts speak of this project's setting, not of the papers'
own runs.
"""

from seethrough.claims.claim import Claim, ClaimError, PaperValue
from seethrough.claims.loading import load
from seethrough.claims.rules import RULES, VERDICTS, Outcome, Rule, judge

__all__ = [
    "RULES",
    "VERDICTS",
    "Claim",
    "ClaimError",
    "Outcome",
    "PaperValue",
    "Rule",
    "judge",
    "load",
]
