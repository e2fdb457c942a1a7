import os
from collections.abc import Callable
from pathlib import Path

import pytest

from seethrough.book.claims_file import read_claims, unknown_rows
from seethrough.claims import Claim, ClaimError

ENTRY = "- {{id: {id}, paper: p, claim: c, standing: s}}\n"


@pytest.fixture
def write_claims(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "book" / "claims.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_read_claims_keeps_the_order(tmp_path: Path, write_claims: Callable[[str], Path]) -> None:
    write_claims(ENTRY.format(id="B-02") + ENTRY.format(id="A-01"))
    assert [claim.id for claim in read_claims(tmp_path)] == ["B-02", "A-01"]


def test_a_file_that_changed_is_read_again(
    tmp_path: Path, write_claims: Callable[[str], Path]
) -> None:
    write_claims(ENTRY.format(id="A-01"))
    first = read_claims(tmp_path)
    assert read_claims(tmp_path) is first
    path = write_claims(ENTRY.format(id="A-02"))  # as long as before
    later = path.stat().st_mtime + 100  # the file system's clock may be coarse
    os.utime(path, (later, later))
    assert [claim.id for claim in read_claims(tmp_path)] == ["A-02"]


def test_read_claims_refuses_what_is_no_file_of_claims(
    tmp_path: Path, write_claims: Callable[[str], Path]
) -> None:
    with pytest.raises(FileNotFoundError, match=r"claims\.yml"):
        read_claims(tmp_path)
    write_claims("id: A-01\n")
    with pytest.raises(ClaimError, match="expected a list"):
        read_claims(tmp_path)


def test_unknown_rows() -> None:
    claim = Claim(
        id="X", paper="p", claim="c", standing="s", rows=("dead/500",), groups=(("a", "b"),)
    )
    assert unknown_rows(claim, ["dead/500", "a", "b", "c"]) == []
    assert unknown_rows(claim, ["dead/50", "a", "b"]) == [
        "X names the row 'dead/500'; nearest: dead/50"
    ]
    assert len(unknown_rows(claim, [])) == 3
