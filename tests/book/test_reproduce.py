import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from seethrough.book.page_reader import parse_page
from seethrough.book.reproduce import paths_in

PAGE = """# Page

:::{{reproduce}}
---
{options}
---
:::
"""


@pytest.fixture
def files(book_root: Path) -> Path:
    for name in ("notebooks/n.ipynb", "src/a.py", "src/b.py", "tests/test_a.py"):
        path = book_root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {name}\n", encoding="utf-8")
    return book_root


@pytest.mark.parametrize("text", ["a b", "a,b", " a,  b\n", "a\nb"])
def test_paths_in(text: str) -> None:
    assert paths_in(text) == ["a", "b"]


def test_paths_in_of_nothing() -> None:
    assert paths_in("  ") == []


def test_box_links_copies_of_every_file_and_shows_the_command(
    files: Path, build_pages: Callable[..., Any]
) -> None:
    options = (
        "notebook: notebooks/n.ipynb\nmodules: src/a.py, src/b.py\ntests: tests/test_a.py\n"
        "command: seethrough run n -p width=500\nchange: >\n  Another *seed*,\n  or two."
    )
    built = build_pages({"page": PAGE.format(options=options)})
    assert built.warnings == []
    page = parse_page(built.html["page"])
    assert page.has_reproduce_box
    hrefs = [a["href"] for tag, a in page.elements if "download" in a.get("class", "")]
    out = files / "_out" / "html"
    copies = [(out / unquote(href)).read_text(encoding="utf-8") for href in hrefs]
    names = ["notebooks/n.ipynb", "src/a.py", "src/b.py", "tests/test_a.py"]
    assert copies == [f"# {name}\n" for name in names]
    assert "What would change my mind" in built.html["page"]
    assert "Another <em>seed</em>, or two." in built.html["page"]
    assert "Reproduce this page" in built.html["page"]
    assert "seethrough run n -p" in built.html["page"].replace('<span class="w"> </span>', " ")


def test_the_command_alone_makes_a_box_without_list(build_pages: Callable[..., Any]) -> None:
    built = build_pages({"page": PAGE.format(options="command: make book")})
    assert built.warnings == []
    assert parse_page(built.html["page"]).has_reproduce_box
    assert "<ul" not in built.html["page"]
    assert "What would change my mind" not in built.html["page"]


def test_a_missing_file_is_a_warning_and_a_mark(
    files: Path, build_pages: Callable[..., Any]
) -> None:
    options = "command: make book\nmodules: src/a.py src/c.py"
    built = build_pages({"page": PAGE.format(options=options)})
    (warning,) = built.warnings
    assert "page.md:3: WARNING: reproduce: there is no file src/c.py" in warning
    assert parse_page(built.html["page"]).error_marks == ["[no file: src/c.py]"]


@pytest.mark.parametrize(
    ("options", "message"),
    [("notebook: n.ipynb", "needs the option command"), ("command: a\nmodule: b", "module")],
)
def test_a_box_that_is_not_well_formed_fails_the_strict_build(
    build_pages: Callable[..., Any], options: str, message: str
) -> None:
    built = build_pages({"page": PAGE.format(options=options)})
    assert any(message in warning for warning in built.warnings)


def test_a_changed_file_is_copied_again(files: Path, build_pages: Callable[..., Any]) -> None:
    options = "command: make book\nmodules: src/a.py"
    build_pages({"page": PAGE.format(options=options)})
    (files / "src" / "a.py").write_text("# new\n", encoding="utf-8")
    later = (files / "page.md").stat().st_mtime + 10
    os.utime(files / "src" / "a.py", (later, later))
    build_pages()
    (copy,) = (files / "_out" / "html" / "_downloads").rglob("a.py")
    assert copy.read_text(encoding="utf-8") == "# new\n"
