import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seethrough.book import gates
from seethrough.book.gates import Book, main, read_book, toc_documents

TOC = """
format: jb-book
root: book/intro
parts:
  - caption: file
    chapters:
      - file: book/claims.md
        title: The ledger
        sections:
          - file: book/executed/study
      - url: https://example.com
"""
BOX = '<div class="reproduce">how</div>'
ROW = (
    '<table><tr class="claim" id="claim-col-01"><td><span class="verdict">reproduced</span></td>'
    '<td><span class="verdict">not tested at this scale</span></td></tr></table>'
)
CLAIM = {"id": "COL-01", "paper": "collapse", "claim": "c", "standing": "abstract"}


def code(source: str = "1", count: int | None = 1, **output: Any) -> dict[str, Any]:
    outputs = [output] if output else []
    return {"cell_type": "code", "source": source, "execution_count": count, "outputs": outputs}


@pytest.fixture
def book(tmp_path: Path) -> Callable[..., Book]:
    """Write a small built book that passes every gate, with some files replaced."""

    def write(files: dict[str, str | None] | None = None, cells: list[Any] | None = None) -> Book:
        notebook = {"cells": cells if cells is not None else [code()]}
        contents: dict[str, str | None] = {
            "_toc.yml": TOC,
            "book/claims.yml": yaml.safe_dump([CLAIM]),
            "book/executed/study.ipynb": json.dumps(notebook),
            "html/index.html": '<meta http-equiv="Refresh" content="0; url=book/intro.html">',
            "html/search.html": "<p>search</p>",
            "html/book/intro.html": f'<img src="a.png" alt="A curve">{BOX}',
            "html/book/claims.html": ROW + BOX,
            "html/book/executed/study.html": BOX,
            "html/_static/a.css": "p { color: red }",
            "html/_static/webpack.html": "<img src='x'>",
        }
        contents.update(files or {})
        for name, text in contents.items():
            if text is not None:
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        return read_book(tmp_path, tmp_path / "html")

    return write


def test_a_sound_book_passes_every_gate(book: Callable[..., Book]) -> None:
    assert gates.faults(book()) == []


def test_toc_documents_in_order_without_suffix(book: Callable[..., Book]) -> None:
    expected = ["book/intro", "book/claims", "book/executed/study"]
    assert toc_documents(book().root) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([code(), code(count=None)], ["book/executed/study.ipynb: cell 1 was not executed"]),
        (
            [code(output_type="error", ename="ValueError")],
            ["book/executed/study.ipynb: cell 0 ended in ValueError"],
        ),
        ([code(source=" \n", count=None), {"cell_type": "markdown", "source": "x"}], []),
        ([code(output_type="stream")], []),
    ],
)
def test_unexecuted_cells(book: Callable[..., Book], cells: list[Any], expected: list[str]) -> None:
    assert gates.unexecuted_cells(book(cells=cells)) == expected


def test_missing_and_stray_pages(book: Callable[..., Book]) -> None:
    built = book({"html/book/intro.html": None, "html/book/old.html": BOX})
    assert gates.missing_pages(built) == [
        "_toc.yml names book/intro.html, which was not built",
        "book/old.html is in no entry of _toc.yml",
    ]


def test_foreign_hosts_in_pages_and_style_sheets(book: Callable[..., Book]) -> None:
    built = book(
        {
            "html/search.html": '<script src="https://cdn.example/a.js"></script>',
            "html/_static/a.css": "@import 'https://fonts.example/a.css'",
        }
    )
    assert gates.foreign_hosts(built) == [
        "search.html: <script> loads https://cdn.example/a.js",
        "_static/a.css: style loads https://fonts.example/a.css",
    ]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"html/book/claims.html": BOX}, "no page has a row for claim COL-01"),
        (
            {"html/book/claims.html": ROW.replace("reproduced", "true")},
            "claim COL-01 has the verdicts ['true', 'not tested at this scale'], expected two",
        ),
        (
            {"html/book/claims.html": ROW.replace('"verdict"', '"verdikt"', 1)},
            "claim COL-01 has the verdicts ['not tested at this scale'], expected two",
        ),
        ({"book/claims.yml": None}, "there is no book/claims.yml"),
    ],
)
def test_uncomputed_claims(
    book: Callable[..., Book], files: dict[str, str | None], expected: str
) -> None:
    assert gates.uncomputed_claims(book(files)) == [expected]


def test_missing_footers_exempts_what_sphinx_writes(book: Callable[..., Book]) -> None:
    built = book({"html/book/intro.html": "<p>text</p>"})
    assert gates.missing_footers(built) == ["book/intro.html has no reproduce box"]


@pytest.mark.parametrize("image", ['<img src="a.png">', '<img src="a.png" alt="a.png">'])
def test_images_without_alt(book: Callable[..., Book], image: str) -> None:
    (fault,) = gates.images_without_alt(book({"html/book/intro.html": image + BOX}))
    assert fault.startswith("book/intro.html: the image a.png has alt ")


def test_error_marks(book: Callable[..., Book]) -> None:
    mark = '<span class="seethrough-error">[no result: x]</span>'
    built = book({"html/book/intro.html": mark + BOX})
    assert gates.error_marks(built) == ["book/intro.html: [no result: x]"]


def test_main_passes_a_sound_book(
    book: Callable[..., Book], capsys: pytest.CaptureFixture[str]
) -> None:
    built = book()
    assert main([str(built.html), "--root", str(built.root)]) == 0
    assert capsys.readouterr().out == "7 gates passed over 5 pages\n"


def test_main_lists_every_fault_with_its_gate(
    book: Callable[..., Book], capsys: pytest.CaptureFixture[str]
) -> None:
    built = book({"html/book/intro.html": "<img src='a.png'>"})
    assert main([str(built.html), "--root", str(built.root)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "missing_footers: book/intro.html has no reproduce box",
        "images_without_alt: book/intro.html: the image a.png has alt None",
    ]


def test_main_without_a_built_book(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "html")]) == 2
    assert "build the book first" in capsys.readouterr().err
