from pathlib import Path

import pytest

from seethrough.book.page_reader import ClaimRow, Image, parse_page, read_page


def test_images_with_and_without_alt() -> None:
    page = parse_page('<p><img src="a.png" alt="A cat"><img src="b.png"/><img src="c" alt=""></p>')
    assert [(image.source, image.alt) for image in page.images] == [
        ("a.png", "A cat"),
        ("b.png", None),
        ("c", ""),
    ]
    assert [image.described for image in page.images] == [True, False, False]


@pytest.mark.parametrize(
    ("alt", "decorative", "described"),
    [
        ("../_images/0a1b.png", False, False),  # what Sphinx writes when no alt is given
        ("figures/plot.svg", False, False),
        ("  ", False, False),
        ("A curve that falls", False, True),
        ("Files of type .png are read", False, True),
        (None, True, True),
    ],
)
def test_described(alt: str | None, decorative: bool, described: bool) -> None:
    image = Image(source="../_images/0a1b.png", alt=alt, decorative=decorative)
    assert image.described == described


@pytest.mark.parametrize("attribute", ['aria-hidden="true"', 'role="presentation"'])
def test_decoration_needs_no_alt(attribute: str) -> None:
    (image,) = parse_page(f'<img src="a.png" {attribute}>').images
    assert image.described


def test_scripts_and_styles_keep_their_text_and_type() -> None:
    page = parse_page(
        '<script type="application/json">{"a": "<b>"}</script>'
        "<script>let a = 1 < 2;</script><style>p { color: red }</style>"
    )
    assert page.scripts == [("application/json", '{"a": "<b>"}'), ("", "let a = 1 < 2;")]
    assert page.styles == ["p { color: red }"]


def test_claim_rows_hold_the_verdicts_between_them() -> None:
    page = parse_page(
        '<span class="verdict">outside</span>'
        '<table><tr class="row-odd claim" id="claim-a"><td><span class="verdict x">not\n tested'
        '</span></td><td><span class="verdict">reproduced</span></td></tr>'
        '<tr class="claim" id="claim-b"><td></td></tr><tr class="header"></tr></table>'
    )
    assert page.claims == [
        ClaimRow(id="claim-a", verdicts=["not tested", "reproduced"]),
        ClaimRow(id="claim-b", verdicts=[]),
    ]


def test_marks_of_failures() -> None:
    page = parse_page(
        '<p class="seethrough-error">[no <b>result</b>]</p>'
        '<div class="system-message">unknown role</div><span class="problematic">x</span>'
        "<p>fine</p>"
    )
    assert page.error_marks == ["[no result]", "unknown role", "x"]


def test_reproduce_box_is_a_class_of_its_own() -> None:
    assert parse_page('<div class="reproduce docutils container">x</div>').has_reproduce_box
    assert not parse_page('<div class="not-reproduce">reproduce</div>').has_reproduce_box


def test_an_unclosed_element_ends_with_its_parent() -> None:
    page = parse_page('<ul><li class="seethrough-error">one<li>two</ul><p>three</p></b>')
    assert page.error_marks == ["onetwo"]


def test_read_page_and_empty_page(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("", encoding="utf-8")
    assert read_page(path).elements == []
