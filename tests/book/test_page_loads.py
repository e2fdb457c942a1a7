import json

import pytest

from seethrough.book.page_loads import foreign_in_css, foreign_in_script, foreign_loads
from seethrough.book.page_reader import parse_page


@pytest.mark.parametrize(
    "html",
    [
        '<script src="https://cdn.example/a.js"></script>',
        '<script src="//cdn.example/a.js"></script>',
        '<link rel="stylesheet" href="http://cdn.example/a.css">',
        '<link rel="preconnect" href="https://fonts.example">',
        '<link rel="dns-prefetch" href="//fonts.example">',
        '<link rel="preload" as="font" href="https://fonts.example/a.woff2">',
        '<link rel="shortcut icon" href="https://cdn.example/a.ico">',
        '<img src="https://cdn.example/a.png" alt="a">',
        '<img srcset="a.png 1x, https://cdn.example/a.png 2x" alt="a">',
        '<iframe src="https://video.example/1"></iframe>',
        '<video poster="https://cdn.example/a.png"></video>',
        '<video><source src="https://cdn.example/a.webm"></video>',
        '<object data="https://cdn.example/a.svg"></object>',
        '<svg><use href="https://cdn.example/a.svg#x"/></svg>',
        '<meta http-equiv="refresh" content="0; url=https://other.example">',
        '<p style="background: url(https://cdn.example/a.png)">a</p>',
        "<style>@import 'https://fonts.example/a.css';</style>",
        '<script>import("https://cdn.example/a.js")</script>',
        "<script>const THEBE = 'https://unpkg.com/thebe'</script>",
    ],
)
def test_one_load_from_another_host_is_found(html: str) -> None:
    assert len(foreign_loads(parse_page(html))) == 1


@pytest.mark.parametrize(
    "html",
    [
        '<a href="https://arxiv.org/abs/2603.18056">a link is followed, not loaded</a>',
        '<link rel="canonical" href="https://book.example/a.html">',
        '<link rel="stylesheet" href="../_static/a.css?v=1">',
        '<link rel="next" title="Next" href="b.html">',
        '<script src="_static/a.js"></script>',
        '<img src="data:image/jpeg;base64,//8AAA==" alt="base64 may begin with slashes">',
        '<img srcset="data:image/png;base64,AA==, b.png 2x" alt="a">',
        '<meta http-equiv="Refresh" content="0; url=book/intro.html">',
        '<meta property="og:url" content="https://book.example">',
        "<script>const NS = 'http://www.w3.org/2000/svg'; // see https://example.com</script>",
        '<svg xmlns="http://www.w3.org/2000/svg"><use href="#x"/></svg>',
        "<p>https://example.com in the text</p>",
    ],
)
def test_what_is_no_load_is_left_alone(html: str) -> None:
    assert foreign_loads(parse_page(html)) == []


@pytest.mark.parametrize(
    ("css", "n"),
    [
        ("@font-face { src: url(../fonts/a.woff2), url('https://f.example/a.woff2') }", 1),
        ('@import url("//f.example/a.css"); @import "https://f.example/b.css";', 2),
        ("/* licence: url(https://f.example) */ p { color: red }", 0),
        ("p { background: url(data:image/svg+xml;charset=utf8,//x) }", 0),
    ],
)
def test_foreign_in_css(css: str, n: int) -> None:
    assert len(foreign_in_css(css)) == n


def test_foreign_in_script_names_the_address() -> None:
    assert foreign_in_script("fetch(`https://x.example/a`)") == ["script names https://x.example/a"]


def test_html_inside_a_widgets_state_is_searched() -> None:
    def page(source: str) -> str:
        state = {"state": {"a": {"value": f'<img alt="a" src="{source}">', "list": ["<b>x</b>"]}}}
        kind = "application/vnd.jupyter.widget-state+json"
        return f'<script type="{kind}">{json.dumps(state)}</script>'

    assert foreign_loads(parse_page(page("data:image/png;base64,AA=="))) == []
    found = foreign_loads(parse_page(page("https://cdn.example/a.png")))
    assert found == ["<img> loads https://cdn.example/a.png"]


def test_json_that_cannot_be_read_is_a_fault() -> None:
    page = parse_page('<script type="application/json">{</script>')
    assert foreign_loads(page) == ["a script of JSON that cannot be read"]
