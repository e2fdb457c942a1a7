"""Find and read the result files that the book's pages quote.

Two sources stand beside each other on every page: ``this`` is the run on the reader's machine,
written when the notebooks were executed; ``reference`` is the committed largest run. A third,
``natural``, is the committed run on real pictures, which some studies have.
"""

from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path

from seethrough.results import StudyResult

RESULT_FOLDERS = {
    "this": "book/executed/results",
    "reference": "results/reference",
    "natural": "results/reference/natural",
}
"""Source name -> folder of its result files, relative to the book's root."""


class MissingResult(LookupError):
    """A quoted result file, row or field that is not there; the message is one sentence."""


def near(name: str, known: list[str]) -> str:
    """Return the words that name the entries of `known` nearest to `name`, or all of a few."""
    matches = get_close_matches(name, known, n=3, cutoff=0.5) or sorted(known)[:6]
    return f"nearest: {', '.join(matches)}" if matches else "there is none"


def result_file(root: Path, source: str, study: str) -> Path:
    """Return the path of a study's result file, whether or not it exists.

    Raises:
        ValueError: `source` is not one of `RESULT_FOLDERS`.
    """
    if source not in RESULT_FOLDERS:
        raise ValueError(f"got source {source!r}, allowed {', '.join(RESULT_FOLDERS)}")
    return root / RESULT_FOLDERS[source] / f"{study}.json"


def read_result(root: Path, source: str, study: str) -> StudyResult:
    """Return the result of `study` from `source`.

    Raises:
        MissingResult: no such file (the sentence names it and the studies nearest in name), or
            a file that is not a valid result.
        ValueError: an unknown source.
    """
    path = result_file(root, source, study)
    shown = path.relative_to(root).as_posix()
    if not path.is_file():
        known = [other.stem for other in path.parent.glob("*.json")]
        raise MissingResult(f"no result file {shown} for study {study!r}; {near(study, known)}")
    try:
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)
    except ValueError as error:
        raise MissingResult(f"{shown} is not a valid result file: {error}") from error


@lru_cache(maxsize=64)
def _read(path: Path, changed: int, size: int) -> StudyResult:
    """Read a file once while it stays as it is: a page quotes one many times."""
    return StudyResult.read(path)
