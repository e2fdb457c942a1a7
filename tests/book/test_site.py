"""Small parts of building the site; whole builds are in test_build.py."""

from pathlib import Path

from seethrough.book.site import COMPLETE, built, problem_lines, swap


def test_problems_are_shown_without_the_rest() -> None:
    said = "reading a\na.md:3: WARNING: no such page\nwriting a\nERROR: stopped\n"
    assert problem_lines(said) == ["a.md:3: WARNING: no such page", "ERROR: stopped"]


def test_many_problems_are_cut() -> None:
    shown = problem_lines("\n".join(f"WARNING: {i}" for i in range(50)))
    assert len(shown) == 41
    assert shown[-1] == "... and 10 more"


def test_without_a_word_of_problems_the_end_is_shown() -> None:
    shown = problem_lines("\n".join(map(str, range(100))))
    assert shown == [str(i) for i in range(60, 100)]


def test_the_new_site_takes_the_place_of_the_old(tmp_path: Path) -> None:
    work, html = tmp_path / ".site-1", tmp_path / "html"
    for _ in range(2):  # first without an old site
        built(work).mkdir(parents=True)
        (built(work) / "index.html").write_text("new")
        assert swap(work, html) == 0
        assert sorted(path.name for path in html.iterdir()) == [COMPLETE, "index.html"]
        (html / "removed_page.html").write_text("old")
        built(work).parent.mkdir(exist_ok=True)
    assert (work / "old" / "index.html").exists()
