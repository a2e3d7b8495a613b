"""A report as its readers have it: on a screen, a phone, paper, by keyboard. Skipped where there is no Chromium."""

import itertools

import numpy as np
import pytest

from skinjax.evaluation.predictions import write_predictions
from skinjax.report.page import write_report
from skinjax.report.subjects import open_subject
from tests.report.browser import CHROMIUM, browser
from tests.report.conftest import HOSTILE, make_run, table_of

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium")
FAULTS = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled")
# Contrast of an element's colour with the page's, as WCAG defines it.
CONTRAST = """(selector => {
  const of = colour => colour.match(/[0-9.]+/g).slice(0, 3).map(Number).map(x => x / 255)
    .map(x => x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4)
    .reduce((sum, x, n) => sum + x * [0.2126, 0.7152, 0.0722][n], 0);
  const page = of(getComputedStyle(document.body).backgroundColor);
  const ratio = ink => (Math.max(ink, page) + 0.05) / (Math.min(ink, page) + 0.05);
  return Math.min(...[...document.querySelectorAll(selector)].map(one => ratio(of(getComputedStyle(one).color))))
})"""


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Reports of a run, of a table with hostile names, and of two runs side by side."""
    folder = tmp_path_factory.mktemp("reports")
    runs = [make_run(folder / f"run{seed}", seed=seed) for seed in (0, 1)]
    write_predictions(folder / "hostile.csv", table_of(np.arange(70) % len(HOSTILE), classes=HOSTILE))
    named = {"run": runs[:1], "hostile": [folder / "hostile.csv"], "two": runs}
    for name, paths in named.items():
        write_report(folder / f"{name}.html", [open_subject(path) for path in paths])
    return {name: folder / f"{name}.html" for name in named}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("name", ["run", "hostile", "two"])
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "light"), (360, "dark")])
def test_it_opens_without_a_fault_a_request_or_a_sideways_scroll(name, width, scheme, reports, page):
    page.open(reports[name], width, scheme=scheme)
    assert page.told(*FAULTS) == []
    requests = [told["request"]["url"] for told in page.told("Network.requestWillBeSent")]
    assert [url for url in requests if not url.startswith("data:")] == [reports[name].as_uri()]
    assert page.value("document.documentElement.scrollWidth") <= width
    assert page.value("document.title").endswith(": report of skinjax")
    assert page.value("document.querySelectorAll('script, b, iframe, img').length") == 0


def test_headings_are_in_order_and_everything_has_a_name(reports, page):
    page.open(reports["two"])
    levels = page.value("[...document.querySelectorAll('h1, h2, h3, h4')].map(one => Number(one.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    unnamed = "svg:not([aria-label]), img:not([alt]), table:not(:has(caption)), th:not([scope])"
    assert page.value(f"document.querySelectorAll('{unnamed}').length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_the_page(scheme, reports, page):
    page.open(reports["run"], scheme=scheme)
    assert page.value(f"{CONTRAST}('p, td, th, a, h1, h2, figcaption, summary')") >= 4.5
    ink = page.value("getComputedStyle(document.querySelector('.chart svg text')).fill")
    assert ink == page.value("getComputedStyle(document.body).color")


def test_the_keyboard_leads_to_the_report(reports, page):
    page.open(reports["run"])
    for key in ("Tab", "Enter"):
        for kind in ("keyDown", "keyUp"):
            text = {"text": "\r"} if key == "Enter" and kind == "keyDown" else {}
            code = {"Tab": 9, "Enter": 13}[key]
            page.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **text)
        if key == "Tab":
            assert page.value("document.activeElement.className") == "skip"
            assert page.value("document.activeElement.getBoundingClientRect().left") > 0
    assert page.value("location.hash") == "#main"


def test_it_is_printed_with_what_is_folded(reports, page):
    page.open(reports["run"], scheme="dark")
    assert page.pdf().startswith(b"%PDF")
    page.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert page.value("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert (
        page.value("getComputedStyle(document.querySelector('details'), '::details-content').contentVisibility")
        == "visible"
    )
