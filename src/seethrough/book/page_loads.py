"""Find what a page would load from another host: scripts, styles, images, fonts, connections.

A link that the reader may follow is not a load. Vendored JavaScript files are not searched: they
name hosts that they never ask; the browser test watches what is really requested.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from seethrough.book.page_reader import Attributes, Page, parse_page

FOREIGN = re.compile(r"^\s*(?:(?:https?|wss?|ftp):)?//", re.IGNORECASE)
"""An address on a named host; ``//host/x`` takes the page's own scheme."""

LOADING_ATTRIBUTES = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
"""Tag -> attributes whose address the browser fetches by itself."""

LINKS_NOT_LOADED = frozenset(
    {
        "alternate",
        "author",
        "bookmark",
        "canonical",
        "copyright",
        "help",
        "index",
        "license",
        "next",
        "prev",
        "search",
        "up",
    }
)
"""Relations of ``<link>`` that the browser does not fetch; any other is taken as a load."""

CSS_LOAD = re.compile(r"""(?:url\(|@import)\s*["']?\s*((?:https?:)?//[^"')\s;]+)""", re.IGNORECASE)
SCRIPT_ADDRESS = re.compile(r"""["'`]((?:https?:|wss?:)?//[\w.-]+\.[a-z]{2,}[^"'`\s]*)""")
NAMESPACES = ("http://www.w3.org/", "https://www.w3.org/")
"""Names that look like addresses and are never fetched."""


def foreign_loads(page: Page) -> list[str]:
    """Return one phrase per load from another host, in the page and in its widgets' HTML."""
    found = [phrase for tag, attributes in page.elements for phrase in _of_element(tag, attributes)]
    for style in page.styles:
        found += foreign_in_css(style)
    for kind, text in page.scripts:
        found += _in_data(text) if "json" in kind else foreign_in_script(text)
    return found


def foreign_in_css(text: str) -> list[str]:
    """Return one phrase per url() or @import of another host in a style sheet."""
    return [f"style loads {address}" for address in CSS_LOAD.findall(_without_comments(text))]


def foreign_in_script(text: str) -> list[str]:
    """Return one phrase per address of another host that an inline script holds as a text.

    Inline scripts are short, so any such text is refused, whether it is imported, fetched or
    kept for later.
    """
    addresses = SCRIPT_ADDRESS.findall(text)
    return [f"script names {a}" for a in addresses if not a.startswith(NAMESPACES)]


def _without_comments(text: str) -> str:
    """Return a style sheet without its comments, in which licences give addresses."""
    return re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)


def _of_element(tag: str, attributes: Attributes) -> Iterator[str]:
    """Yield the loads of one element."""
    names = LOADING_ATTRIBUTES.get(tag, ())
    if tag == "link" and not set(attributes.get("rel", "").lower().split()) & LINKS_NOT_LOADED:
        names = ("href",)
    for name in names:
        for address in _addresses(name, attributes.get(name, "")):
            if FOREIGN.match(address):
                yield f"<{tag}> loads {address.strip()}"
    if tag == "meta" and attributes.get("http-equiv", "").lower() == "refresh":
        _, _, address = attributes.get("content", "").partition("url=")
        if FOREIGN.match(address):
            yield f"<meta> goes on to {address}"
    yield from foreign_in_css(attributes.get("style", ""))


def _addresses(attribute: str, value: str) -> list[str]:
    """Return the addresses in an attribute: srcset holds several, each with a width."""
    if attribute != "srcset":
        return [value]
    return [part.strip().partition(" ")[0] for part in value.split(", ")]


def _in_data(text: str) -> list[str]:
    """Return the loads of HTML that widgets hold as texts in the page's JSON."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError:
        return ["a script of JSON that cannot be read"]
    return [phrase for value in _texts(data) if "<" in value for phrase in _of_html(value)]


def _of_html(text: str) -> list[str]:
    """Return the loads of a piece of HTML."""
    return foreign_loads(parse_page(text))


def _texts(data: Any) -> Iterator[str]:
    """Yield every text in nested JSON."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from _texts(value)
