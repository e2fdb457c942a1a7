"""Refuse a built book that looks finished and is not.

    python -m seethrough.book.gates _build/html --root .

Sphinx builds pages without outputs, pages that load from other hosts and pages without alt texts
and says nothing. Each gate here returns one sentence per fault; the exit code is 1 if there is
any, and 2 if there is no built book.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from seethrough.book.page_loads import foreign_in_css, foreign_loads
from seethrough.book.page_reader import Page, read_page
from seethrough.claims import VERDICTS, load

GENERATED_PAGES = frozenset({"genindex.html", "search.html", "index.html", "py-modindex.html"})
"""Pages that Sphinx writes by itself; index.html only when it is a redirect to the first page."""

CLAIMS_FILE = Path("book/claims.yml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A built book and the tree it was built from."""

    root: Path
    """Folder with _toc.yml."""
    html: Path
    """Folder with the built pages."""
    pages: dict[str, Page]
    """Path of each HTML page relative to `html` -> what it holds."""


def read_book(root: Path, html: Path) -> Book:
    """Return the built book, with every page read once."""
    paths = {path.relative_to(html): path for path in sorted(html.rglob("*.html"))}
    pages = {
        name.as_posix(): read_page(path)
        for name, path in paths.items()
        if name.parts[0] != "_static"
    }
    return Book(root=root, html=html, pages=pages)


def toc_documents(root: Path) -> list[str]:
    """Return the documents of _toc.yml, in order, without suffix."""

    def walk(entry: Any) -> Iterator[str]:
        if isinstance(entry, dict):
            for key, value in entry.items():
                if key in ("root", "file"):
                    yield re.sub(r"\.(md|ipynb)$", "", str(value))
                elif key not in ("caption", "title", "options"):
                    yield from walk(value)
        elif isinstance(entry, list):
            for item in entry:
                yield from walk(item)

    return list(walk(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8"))))


def unexecuted_cells(book: Book) -> list[str]:
    """Name the code cells of the book's notebooks that were not run, or that ended in an error.

    Empty cells are not counted: no executor numbers them.
    """
    faults = []
    for document in toc_documents(book.root):
        path = book.root / f"{document}.ipynb"
        if not path.is_file():
            continue
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for position, cell in enumerate(cells):
            if cell["cell_type"] != "code" or not "".join(cell["source"]).strip():
                continue
            if cell.get("execution_count") is None:
                faults.append(f"{document}.ipynb: cell {position} was not executed")
            errors = [o for o in cell.get("outputs", []) if o["output_type"] == "error"]
            if errors:
                faults.append(f"{document}.ipynb: cell {position} ended in {errors[0]['ename']}")
    return faults


def missing_pages(book: Book) -> list[str]:
    """Name the documents of _toc.yml without a page, and pages that no document stands behind."""
    expected = {f"{document}.html" for document in toc_documents(book.root)}
    absent = [f"_toc.yml names {page}, which was not built" for page in expected - set(book.pages)]
    strays = set(book.pages) - expected - GENERATED_PAGES
    return sorted(absent) + [f"{page} is in no entry of _toc.yml" for page in sorted(strays)]


def foreign_hosts(book: Book) -> list[str]:
    """Name everything that a page or a style sheet would load from another host."""
    faults = [
        f"{name}: {load}" for name, page in book.pages.items() for load in foreign_loads(page)
    ]
    for path in sorted(book.html.rglob("*.css")):
        text = path.read_text(encoding="utf-8", errors="replace")
        name = path.relative_to(book.html).as_posix()
        faults += [f"{name}: {load}" for load in foreign_in_css(text)]
    return faults


def uncomputed_claims(book: Book) -> list[str]:
    """Name the claims of claims.yml that no page shows with a verdict for each of the two runs."""
    path = book.root / CLAIMS_FILE
    if not path.is_file():
        return [f"there is no {CLAIMS_FILE.as_posix()}"]
    rows = {row.id: row for page in book.pages.values() for row in page.claims}
    faults = []
    for claim in load(path):
        row = rows.get(f"claim-{claim.id.lower()}")
        if row is None:
            faults.append(f"no page has a row for claim {claim.id}")
        elif len(row.verdicts) != 2 or set(row.verdicts) - set(VERDICTS):
            faults.append(f"claim {claim.id} has the verdicts {row.verdicts}, expected two")
    return faults


def missing_footers(book: Book) -> list[str]:
    """Name the pages without the box that says how to reproduce them."""
    return [
        f"{name} has no reproduce box"
        for name, page in book.pages.items()
        if name not in GENERATED_PAGES and not page.has_reproduce_box
    ]


def images_without_alt(book: Book) -> list[str]:
    """Name the images without an alt text, or with their file's path as alt text."""
    return [
        f"{name}: the image {image.source[:60]} has alt {image.alt!r}"
        for name, page in book.pages.items()
        for image in page.images
        if not image.described
    ]


def error_marks(book: Book) -> list[str]:
    """Name the marks that a failed role, directive or reference left in a page."""
    return [f"{name}: {mark}" for name, page in book.pages.items() for mark in page.error_marks]


GATES = (
    unexecuted_cells,
    missing_pages,
    foreign_hosts,
    uncomputed_claims,
    missing_footers,
    images_without_alt,
    error_marks,
)


def faults(book: Book) -> list[str]:
    """Return the sentences of all gates, each with the gate's name before it."""
    return [f"{gate.__name__}: {sentence}" for gate in GATES for sentence in gate(book)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the gates; return 0 when all pass, 1 when any fails, 2 without a built book."""
    parser = argparse.ArgumentParser(
        prog="python -m seethrough.book.gates", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("html", type=Path, help="folder with the built pages")
    parser.add_argument("--root", type=Path, default=Path(), help="folder with _toc.yml")
    options = parser.parse_args(arguments)
    for needed in (options.html / "index.html", options.root / "_toc.yml"):
        if not needed.is_file():
            print(f"there is no {needed}; build the book first", file=sys.stderr)
            return 2
    book = read_book(options.root, options.html)
    found = faults(book)
    for sentence in found:
        print(sentence, file=sys.stderr)
    if not found:
        print(f"{len(GATES)} gates passed over {len(book.pages)} pages")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
