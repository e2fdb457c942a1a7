"""Read a built HTML page into what the gates ask about."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from seethrough.book.claims_table import ROW_CLASS, VERDICT_CLASS
from seethrough.book.reproduce import BOX_CLASS
from seethrough.book.result_role import ERROR_CLASS

MARK_CLASSES = (ERROR_CLASS, "system-message", "problematic")
"""Classes of what a failed role, directive or reference leaves in a page."""

VOID_TAGS = frozenset(
    {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "param",
        "source",
        "track",
        "wbr",
    }
)
"""Elements without an end tag."""

Attributes = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image element."""

    source: str
    """The attribute src."""
    alt: str | None
    """The attribute alt; None when absent."""
    decorative: bool
    """True when the page marks it as decoration (role presentation, aria-hidden)."""

    @property
    def described(self) -> bool:
        """Say whether the image has an alt text that is not just its path."""
        if self.decorative:
            return True
        alt = (self.alt or "").strip()
        is_path = alt == self.source or re.search(r"\.(png|jpe?g|svg|gif|webp)$", alt) is not None
        return bool(alt) and not is_path


@dataclass(slots=True, kw_only=True)
class ClaimRow:
    """A row of the table of claims."""

    id: str
    """The row's anchor."""
    verdicts: list[str] = field(default_factory=list)
    """The text of each verdict in the row."""


@dataclass(slots=True, kw_only=True)
class Page:
    """What the gates ask about a page."""

    elements: list[tuple[str, Attributes]] = field(default_factory=list)
    """Every tag with its attributes, in order."""
    scripts: list[tuple[str, str]] = field(default_factory=list)
    """The type and the text of every inline script."""
    styles: list[str] = field(default_factory=list)
    """The text of every inline style sheet."""
    images: list[Image] = field(default_factory=list)
    """Every image."""
    claims: list[ClaimRow] = field(default_factory=list)
    """Every row of a table of claims."""
    error_marks: list[str] = field(default_factory=list)
    """The text of every mark of a failure."""
    has_reproduce_box: bool = False
    """Whether the page ends with the box that says how to reproduce it."""


class PageParser(HTMLParser):
    """Fill a `Page` while reading."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._open: list[tuple[str, str, list[str]]] = []  # tag, what it is, its text so far

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the element and, if its text matters, start to collect it."""
        attributes = {name: value or "" for name, value in attrs}
        absent_alt = "alt" not in attributes
        self.page.elements.append((tag, attributes))
        classes = attributes.get("class", "").split()
        if tag == "img":
            self.page.images.append(_image(attributes, absent_alt=absent_alt))
        if BOX_CLASS in classes:
            self.page.has_reproduce_box = True
        if tag == "tr" and ROW_CLASS in classes:
            self.page.claims.append(ClaimRow(id=attributes.get("id", "")))
        if tag not in VOID_TAGS:
            self._open.append((tag, _role_of(tag, classes, attributes), []))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Treat ``<img/>`` as ``<img>``, and ``<path/>`` as opened and closed."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID_TAGS:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        """Add the text to every open element that collects text."""
        for _, role, texts in self._open:
            if role:
                texts.append(data)

    def handle_endtag(self, tag: str) -> None:
        """Close the nearest open element of this name and those left open inside it."""
        if tag not in [name for name, _, _ in self._open]:
            return
        while self._open:
            name, role, texts = self._open.pop()
            self._keep(role, " ".join("".join(texts).split()) if role == "text" else "".join(texts))
            if name == tag:
                return

    def _keep(self, role: str, text: str) -> None:
        """File the collected text of a closed element under what it is."""
        kind, _, detail = role.partition(":")
        match kind:
            case "script":
                self.page.scripts.append((detail, text))
            case "style":
                self.page.styles.append(text)
            case "mark":
                self.page.error_marks.append(" ".join(text.split()))
            case "verdict" if self.page.claims:
                self.page.claims[-1].verdicts.append(" ".join(text.split()))


def _role_of(tag: str, classes: list[str], attributes: Attributes) -> str:
    """Return what the text of an element is to be kept as, or an empty string."""
    if tag == "script":
        return f"script:{attributes.get('type', '')}"
    if tag == "style":
        return "style"
    if any(name in classes for name in MARK_CLASSES):
        return "mark"
    return "verdict" if VERDICT_CLASS in classes else ""


def _image(attributes: Attributes, *, absent_alt: bool) -> Image:
    """Return the image of an img element."""
    hidden = attributes.get("aria-hidden") == "true" or attributes.get("role") == "presentation"
    return Image(
        source=attributes.get("src", ""),
        alt=None if absent_alt else attributes["alt"],
        decorative=hidden,
    )


def parse_page(text: str) -> Page:
    """Return what the HTML `text` holds."""
    parser = PageParser()
    parser.feed(text)
    parser.close()
    return parser.page


def read_page(path: Path) -> Page:
    """Return what the HTML file at `path` holds."""
    return parse_page(path.read_text(encoding="utf-8"))
