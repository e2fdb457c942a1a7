"""Open the built book from its folder in a browser that has no network, as a reader would."""

import base64
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
    "about:blank",
)
NOTEBOOK_PAGE = "book/executed/collapse_dead_neurons.html"
SECONDS = 20
"""How long to wait for what a page does by itself."""

KNOWN_MESSAGES = {
    r"embed-amd\.js.*Cannot read properties of undefined \(reading 'Queue'\)": (
        "the widget library asks MathJax 2, which is not there, to typeset a label's mathematics"
    ),
    r"embed-amd\.js.*strict mode: use allowUnionTypes": (
        "the widget library's own schema is not strict to its own checker"
    ),
}
"""Console messages that are expected, each with its reason."""


@pytest.fixture(scope="module")
def html() -> Path:
    """The built book."""
    folder = os.environ.get("SEETHROUGH_BOOK_HTML")
    if not folder:
        pytest.skip("SEETHROUGH_BOOK_HTML does not name a built book")
    path = Path(folder).resolve()
    assert (path / "index.html").is_file(), f"{path} holds no built book"
    return path


@pytest.fixture(scope="module")
def browser(html: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium with an empty profile that logs its console and its requests."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs the commands chromium and chromedriver")
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("profile")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture
def visit(browser: Any, html: Path) -> Callable[[str], Any]:
    """Open a page of the book, with the logs of earlier pages forgotten."""

    def open_page(page: str) -> Any:
        for log in ("browser", "performance"):
            browser.get_log(log)
        name, question, query = page.partition("?")
        browser.get((html / name).as_uri() + question + query)
        return browser

    return open_page


def wait_for(browser: Any, condition: Callable[[], Any]) -> Any:
    """Return the first true value of `condition`; fail after `SECONDS`."""
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, SECONDS).until(lambda _: condition())


def wait_until_loaded(browser: Any) -> None:
    """Wait until the page and what it loads are there."""
    wait_for(browser, lambda: browser.execute_script("return document.readyState") == "complete")


def theme(browser: Any) -> str:
    """Return ``light`` or ``dark``, as the page is shown."""
    return str(browser.execute_script("return document.documentElement.dataset.theme"))


def is_shown_in(browser: Any, scheme: str) -> bool:
    """Say whether the page is shown in ``light`` or ``dark``."""
    return theme(browser) == scheme


def elements(browser: Any, selector: str) -> list[Any]:
    """Return the elements that a CSS selector names."""
    found: list[Any] = browser.find_elements("css selector", selector)
    return found


def is_typeset(browser: Any) -> bool:
    """Say whether every formula of the page is shown as mathematics."""
    return 0 < len(elements(browser, ".math")) <= len(elements(browser, "mjx-container"))


def shown_pictures(browser: Any) -> list[tuple[str, str]]:
    """Return alt and src of the picture below each slider; empty unless each shows just one."""
    pictures = [i for i in elements(browser, ".widget-vbox .widget-html img") if i.is_displayed()]
    if len(pictures) != len(elements(browser, ".widget-vbox .widget-slider")):
        return []
    return [(i.get_attribute("alt"), i.get_attribute("src")) for i in pictures]


def requested(browser: Any) -> list[str]:
    """Return the addresses that were requested since the page was opened."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    sockets = [m["params"] for m in messages if m["method"] == "Network.webSocketCreated"]
    return [p["request"]["url"] for p in sent] + [p["url"] for p in sockets]


def complaints(browser: Any) -> list[str]:
    """Return the warnings and errors of the console that are not known."""
    messages = [
        entry["message"]
        for entry in browser.get_log("browser")
        if entry["level"] in ("WARNING", "SEVERE")
    ]
    return [m for m in messages if not any(re.search(known, m) for known in KNOWN_MESSAGES)]


def pages_of(html: Path) -> list[str]:
    """Return every page of the book but the redirect."""
    paths = (path.relative_to(html) for path in sorted(html.rglob("*.html")))
    return [p.as_posix() for p in paths if p.parts[0] not in ("_static", "index.html")]


def set_scheme(browser: Any, scheme: str) -> None:
    """Pretend that the reader's system prefers ``light`` or ``dark``."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def luminance(browser: Any, selector: str, style: str) -> float:
    """Return the lightness, 0 to 1, of a colour of the first element that has one."""
    script = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
    colour = browser.execute_script(script, selector, style)
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.21 * red + 0.72 * green + 0.07 * blue


@pytest.mark.parametrize(("slider", "named"), [(0, "epoch"), (1, "k = ")])
def test_slider_changes_its_picture_without_kernel(
    visit: Callable[[str], Any], slider: int, named: str
) -> None:
    from selenium.webdriver.common.keys import Keys

    browser = visit(NOTEBOOK_PAGE)
    first = wait_for(browser, lambda: shown_pictures(browser))
    assert len(first) == 2
    assert named in first[slider][0]
    handle = elements(browser, ".widget-slider .noUi-handle")[slider]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    handle.send_keys(Keys.ARROW_RIGHT)
    second = wait_for(browser, lambda: (now := shown_pictures(browser)) not in ([], first) and now)
    assert second[slider][0] != first[slider][0]  # the alt text tells what changed
    assert second[slider][1] != first[slider][1]  # and so does the picture
    assert second[1 - slider] == first[1 - slider]  # the other slider's stays
    handle.send_keys(Keys.ARROW_LEFT)
    wait_for(browser, lambda: shown_pictures(browser) == first)
    assert complaints(browser) == []


def test_the_widget_library_finds_its_icon_font(visit: Callable[[str], Any]) -> None:
    browser = visit(NOTEBOOK_PAGE)
    wait_for(browser, partial(shown_pictures, browser))
    script = """const done = arguments[0];
        document.fonts.load("900 16px 'Font Awesome 5 Free'").then(
            faces => done(faces.map(face => face.status)), error => done(String(error)))"""
    statuses = browser.execute_async_script(script)
    assert set(statuses) == {"loaded"}
    assert any("/_static/vendor/html-manager/" in address for address in requested(browser))


def test_mathematics_is_typeset(visit: Callable[[str], Any], html: Path) -> None:
    pages = [p for p in pages_of(html) if 'class="math' in (html / p).read_text(encoding="utf-8")]
    assert pages, "no page has mathematics"
    for page in pages:
        browser = visit(page)
        wait_for(browser, partial(is_typeset, browser))
        assert elements(browser, "mjx-merror") == [], page


def test_search_finds_pages_that_open(visit: Callable[[str], Any]) -> None:
    browser = visit("search.html?q=sparse")
    (result, *_) = wait_for(browser, lambda: elements(browser, "#search-results li a"))
    address = result.get_attribute("href").partition("?")[0].partition("#")[0]
    result.click()
    wait_for(browser, lambda: browser.current_url.startswith(address))
    wait_until_loaded(browser)
    assert "sparse" in elements(browser, "main")[0].text.lower()
    assert complaints(browser) == []


def test_the_logs_show_a_foreign_request_and_an_error(browser: Any, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<img src="http://127.0.0.1:9/a.png"><script>unknown()</script>', "utf-8")
    browser.get_log("browser")
    browser.get(page.as_uri())
    wait_until_loaded(browser)
    assert "http://127.0.0.1:9/a.png" in requested(browser)
    assert any("unknown is not defined" in message for message in complaints(browser))


def test_no_page_asks_another_host_or_complains(visit: Callable[[str], Any], html: Path) -> None:
    for page in pages_of(html):
        browser = visit(page)
        wait_until_loaded(browser)
        if page == NOTEBOOK_PAGE:
            wait_for(browser, partial(shown_pictures, browser))
        addresses = requested(browser)
        assert any(address.startswith("file:") for address in addresses), page
        foreign = [a for a in addresses if not a.startswith(("file:", "data:", "blob:"))]
        assert foreign == [], page
        assert complaints(browser) == [], page


@pytest.mark.parametrize("page", ["book/intro.html", "book/claims.html"])
def test_light_and_dark(visit: Callable[[str], Any], browser: Any, page: str) -> None:
    for scheme in ("light", "dark"):
        set_scheme(browser, scheme)
        visit(page)
        wait_for(browser, partial(is_shown_in, browser, scheme))
        paper = luminance(browser, "body", "background-color")
        ink = luminance(browser, "article p", "color")
        assert (paper > 0.9) if scheme == "light" else (paper < 0.15)
        assert abs(paper - ink) > 0.6


def test_button_switches_between_light_and_dark(visit: Callable[[str], Any]) -> None:
    browser = visit("book/intro.html")
    button = next(b for b in elements(browser, ".theme-switch-button") if b.is_displayed())
    seen = set()
    for _ in range(3):  # automatic, light, dark
        button.click()
        seen.add(theme(browser))
    assert seen == {"light", "dark"}


def test_screenshots(visit: Callable[[str], Any], browser: Any, html: Path) -> None:
    folder = os.environ.get("SEETHROUGH_SCREENSHOTS")
    if not folder:
        pytest.skip("SEETHROUGH_SCREENSHOTS does not name a folder for pictures")
    Path(folder).mkdir(parents=True, exist_ok=True)
    for page in pages_of(html):
        for scheme in ("light", "dark"):
            set_scheme(browser, scheme)
            visit(page)
            wait_until_loaded(browser)
            size = browser.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
            shot = browser.execute_cdp_cmd(
                "Page.captureScreenshot",
                {"captureBeyondViewport": True, "clip": size | {"scale": 1}},
            )
            name = page.removesuffix(".html").replace("/", "-") + f"-{scheme}.png"
            content = base64.b64decode(shot["data"])
            (Path(folder) / name).write_bytes(content)
            assert content.startswith(b"\x89PNG")
