"""Read the claims that the book's pages show, for the table and for the prose alike."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from seethrough.book.result_files import near
from seethrough.claims import Claim, load

CLAIMS_FILE = "book/claims.yml"
"""The file of claims, relative to the book's root."""
JUDGED_RUNS = {"reference": "Reference run", "this": "This run"}
"""Source whose results are judged -> its name for a reader."""


def read_claims(root: Path) -> tuple[Claim, ...]:
    """Return the claims of the book at `root`, in the file's order.

    Raises:
        OSError: there is no such file.
        ClaimError: a claim that is not well formed.
    """
    path = root / CLAIMS_FILE
    state = path.stat()
    return _read(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int, size: int) -> tuple[Claim, ...]:
    """Read the file once while it stays as it is: a page names many claims."""
    return load(path)


def unknown_rows(claim: Claim, known: Sequence[str]) -> list[str]:
    """Return a sentence on each row that `claim` names and `known` lacks, with what is near."""
    return [
        f"{claim.id} names the row {name!r}; {near(name, list(known))}"
        for name in claim.row_ids
        if name not in known
    ]
