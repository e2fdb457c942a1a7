"""A slider over pictures that works in a page with no kernel and no network."""

import base64
import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ipywidgets  # type: ignore[import-untyped]

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture_html(picture: bytes | str, alt: str) -> str:
    """Return an ``<img>`` element that holds its picture.

    Args:
        picture: the bytes of a PNG file, or a ``data:`` address.
        alt: what the picture shows, for readers who do not see it.

    Raises:
        ValueError: bytes that are not a PNG, another address, or an empty alt text.
    """
    if not alt.strip():
        raise ValueError("got an empty alt text, allowed a sentence on what the picture shows")
    if isinstance(picture, bytes):
        if not picture.startswith(PNG_SIGNATURE):
            raise ValueError(f"got bytes that begin with {picture[:8]!r}, allowed a PNG file")
        picture = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    if not picture.startswith("data:image/"):
        raise ValueError(f"got the address {picture[:40]!r}, allowed data:image/...")
    return f'<img alt="{html.escape(alt)}" src="{html.escape(picture)}">'


def stack_slider(
    pictures: Sequence[bytes | str], labels: Sequence[str], alts: Sequence[str], description: str
) -> "ipywidgets.VBox":
    """Return a slider above a stack of pictures, one position per picture.

    The two are linked in the browser, so the static page needs no kernel. The first picture is
    shown at the start.

    Args:
        pictures: PNG bytes or ``data:`` addresses, at least one.
        labels: what the slider shows at each position, all different.
        alts: the alt text of each picture.
        description: the label of the slider.

    Raises:
        ValueError: no pictures, lengths that differ, or a label given twice.
    """
    import ipywidgets

    lengths = len(pictures), len(labels), len(alts)
    if len(set(lengths)) > 1 or not pictures:
        raise ValueError(f"got {lengths} pictures, labels and alts, allowed equal numbers above 0")
    if len(set(labels)) < len(labels):
        raise ValueError(f"got the labels {list(labels)}, allowed labels that all differ")
    elements = [picture_html(*pair) for pair in zip(pictures, alts, strict=True)]
    stack = ipywidgets.Stack([ipywidgets.HTML(element) for element in elements], selected_index=0)
    slider = ipywidgets.SelectionSlider(
        options=list(labels),
        description=description,
        style={"description_width": "initial"},
        layout={"width": "100%"},
    )
    ipywidgets.jslink((slider, "index"), (stack, "selected_index"))
    return ipywidgets.VBox([slider, stack])
