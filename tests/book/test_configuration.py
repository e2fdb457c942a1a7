import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from seethrough.book.gates import Book, foreign_hosts, images_without_alt, read_book, toc_documents

ROOT = Path(__file__).parents[2]

PAGE = """# A page

Inline $x^2$ and {cite:p}`roy2026collapse`.

$$ y = \\boldsymbol{z} $$

:::{reproduce}
:command: make book
:::

:::{bibliography}
:::
"""


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return document


def test_the_book_never_executes_notebooks_itself(config: dict[str, Any]) -> None:
    assert config["execute"]["execute_notebooks"] == "off"  # a bare off would be False


def test_no_extension_that_asks_other_hosts(config: dict[str, Any]) -> None:
    extensions = config["sphinx"]["config"]["extensions"]
    assert not {"sphinx_thebe", "sphinx.ext.intersphinx"} & set(extensions)
    assert "seethrough.book.sphinx_extension" in extensions


def test_vendored_paths_and_pictures_exist(config: dict[str, Any]) -> None:
    sphinx = config["sphinx"]["config"]
    static = ROOT / sphinx["html_static_path"][0]
    named = [sphinx["mathjax_path"], *sphinx["nb_ipywidgets_js"], *sphinx["html_css_files"]]
    assert all((static / name).is_file() for name in named)
    assert all((ROOT / path).is_file() for path in (config["logo"], config["html"]["favicon"]))


def test_every_page_of_the_table_of_contents_has_a_source() -> None:
    for document in toc_documents(ROOT):
        executed = document.startswith("book/executed/")
        source = f"notebooks/{Path(document).name}.ipynb" if executed else f"{document}.md"
        assert (ROOT / source).is_file(), source


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """One page built strictly with the book's own configuration."""
    root = tmp_path_factory.mktemp("a folder with spaces") / "book root"
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    shutil.copy(ROOT / "_config.yml", root)
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/page\n", encoding="utf-8")
    (root / "book" / "page.md").write_text(PAGE, encoding="utf-8")
    (root / "tests").mkdir()
    (root / "tests" / "README.md").write_text("no page", encoding="utf-8")
    program = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", program, "build", str(root), "-W", "-n"]
    environment = os.environ | {"NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    book = read_book(root, root / "_build" / "html")
    assert "book/page.html" in book.pages, done.stdout
    return book


def test_strict_build_loads_nothing_from_another_host(built: Book) -> None:
    assert foreign_hosts(built) == []


def test_strict_build_has_a_described_logo_and_no_stray_page(built: Book) -> None:
    assert images_without_alt(built) == []
    assert set(built.pages) == {"index.html", "search.html", "genindex.html", "book/page.html"}


def test_strict_build_carries_the_vendored_files_alone(built: Book) -> None:
    vendor = built.html / "_static" / "vendor"
    assert (vendor / "mathjax" / "input" / "tex" / "extensions" / "boldsymbol.js").is_file()
    assert not (vendor / "refresh.py").exists()


def test_citations_and_bibliography_name_author_and_year(built: Book) -> None:
    text = (built.html / "book" / "page.html").read_text(encoding="utf-8")
    assert ">Roy <em>et al.</em>, 2026</a>" in text
    assert ">Roy et al., 2026</a>" in text
    assert "2026" in text.partition("Copyright")[2][:20]
