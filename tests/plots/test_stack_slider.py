import base64
from typing import Any

import ipywidgets  # type: ignore[import-untyped]
import pytest

from seethrough.plots.stack_slider import PNG_SIGNATURE, picture_html, stack_slider

PNG = PNG_SIGNATURE + b"rest"


def linked(box: ipywidgets.VBox) -> list[Any]:
    """Return the links in the browser between the box's parts."""
    parts = set(box.children)
    widgets = ipywidgets.widgets.widget._instances.values()
    links = [widget for widget in widgets if type(widget).__name__ == "Link"]
    return [link for link in links if link.source[0] in parts]


def test_slider_and_stack_are_linked_in_the_browser() -> None:
    box = stack_slider([PNG, PNG + b"2"], ["epoch 1", "epoch 2"], ["one", "two"], "Epoch")
    slider, stack = box.children
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert isinstance(stack, ipywidgets.Stack)
    (link,) = linked(box)
    assert link.source == (slider, "index")
    assert link.target == (stack, "selected_index")


def test_the_first_picture_is_shown_and_labels_keep_their_order() -> None:
    box = stack_slider([PNG] * 3, ["10", "9", "8"], ["a", "b", "c"], "k")
    slider, stack = box.children
    assert (slider.index, stack.selected_index) == (0, 0)
    assert slider.options == ("10", "9", "8")
    assert slider.description == "k"
    assert [child.value for child in stack.children] == [picture_html(PNG, a) for a in "abc"]


def test_one_picture_is_enough() -> None:
    assert len(stack_slider([PNG], ["1"], ["a"], "k").children[1].children) == 1


def test_picture_html_holds_the_picture_and_its_alt() -> None:
    data = base64.b64encode(PNG).decode()
    element = picture_html(PNG, 'k < 5 & "few"')
    assert element == (
        f'<img alt="k &lt; 5 &amp; &quot;few&quot;" src="data:image/png;base64,{data}">'
    )


def test_picture_html_takes_a_data_address() -> None:
    assert 'src="data:image/svg+xml,x"' in picture_html("data:image/svg+xml,x", "a")


@pytest.mark.parametrize(
    ("picture", "alt", "message"),
    [
        (b"JFIF", "a", "begin with b'JFIF', allowed a PNG"),
        (b"", "a", "allowed a PNG"),
        ("https://cdn.example/a.png", "a", "allowed data:image/"),
        ("a.png", "a", "allowed data:image/"),
        (PNG, " ", "empty alt text"),
    ],
)
def test_picture_html_refuses(picture: bytes | str, alt: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        picture_html(picture, alt)


@pytest.mark.parametrize(
    ("pictures", "labels", "alts", "message"),
    [
        ([], [], [], r"got \(0, 0, 0\)"),
        ([PNG], ["1", "2"], ["a"], r"got \(1, 2, 1\)"),
        ([PNG, PNG], ["1", "1"], ["a", "b"], "labels that all differ"),
    ],
)
def test_stack_slider_refuses(
    pictures: list[bytes], labels: list[str], alts: list[str], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        stack_slider(pictures, labels, alts, "k")
