import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPages:
    html: dict[str, str]
    """Name of each page -> its main part, without the theme around it."""
    warnings: list[str]
    """The lines that a strict build would fail on."""
    read: set[str]
    """Pages that this build read; the others were up to date."""


def main_part(html: str) -> str:
    """Return the page's own part of a built file."""
    return html.partition('<div class="body" role="main">')[2].partition('<div class="clearer">')[0]


@pytest.fixture
def build_pages(tmp_path: Path) -> Callable[..., BuiltPages]:
    """Build Markdown pages with the book's extension and no theme; again for a second build."""

    def build(pages: Mapping[str, str] | None = None) -> BuiltPages:
        root = tmp_path / "book_root"
        root.mkdir(exist_ok=True)
        for name, text in (pages or {}).items():
            (root / f"{name}.md").write_text(text, encoding="utf-8")
        settings = {
            "extensions": ["myst_parser", "seethrough.book.sphinx_extension"],
            "myst_enable_extensions": ["colon_fence", "dollarmath"],
            "root_doc": "page",
            "html_theme": "basic",
            "exclude_patterns": ["_out"],
        }
        warnings = io.StringIO()
        with patch_docutils(str(root)), docutils_namespace():
            app = Sphinx(
                srcdir=str(root),
                confdir=None,
                outdir=str(root / "_out" / "html"),
                doctreedir=str(root / "_out" / "trees"),
                buildername="html",
                confoverrides=settings,
                status=None,
                warning=warnings,
            )
            read: set[str] = set()
            app.connect("source-read", lambda _, name, __: read.add(name))
            app.build()
        html = {
            path.stem: main_part(path.read_text(encoding="utf-8"))
            for path in (root / "_out" / "html").glob("*.html")
        }
        lines = ESCAPES.sub("", warnings.getvalue()).splitlines()
        return BuiltPages(html=html, warnings=[line for line in lines if line], read=read)

    return build


@pytest.fixture
def book_root(tmp_path: Path) -> Path:
    """The folder that `build_pages` builds from."""
    root = tmp_path / "book_root"
    root.mkdir(exist_ok=True)
    return root
