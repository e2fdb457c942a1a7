"""The committed results of the largest runs."""

from collections.abc import Sequence
from pathlib import Path

from seethrough.results import ResultError, Row, Series, StudyResult

FOLDER = Path(__file__).parents[3] / "results" / "reference"


def folder_of(tier: str = "") -> Path:
    """Return where committed results lie: of the package's own data, or of a tier of `TIERS`."""
    return FOLDER / tier


def reference_result(study: str, folder: Path = FOLDER, tier: str = "") -> StudyResult | None:
    """Return the reference result of a study, None where there is none (or no checkout)."""
    path = folder / tier / f"{study}.json"
    return StudyResult.read(path) if path.is_file() else None


def loss(path: Path, result: StudyResult) -> str:
    """Return in words what would be lost if a result replaced a file; empty if nothing would be.

    Lost are rows and curves whose ids the result lacks, and all of a file that is no result: what
    it holds is not known.
    """
    if not path.is_file():
        return ""
    try:
        before = StudyResult.read(path)
    except ResultError as error:
        return f"it is no result that can be read ({error})"
    entries = {"rows": _lacking(before.rows, result.rows),
               "curves": _lacking(before.series, result.series)}  # fmt: skip
    said = " and ".join(f"{n} of its {name}" for name, n in entries.items() if n)
    return f"the new result lacks {said}" if said else ""


def _lacking(before: Sequence[Row | Series], after: Sequence[Row | Series]) -> int:
    return len({entry.id for entry in before} - {entry.id for entry in after})
