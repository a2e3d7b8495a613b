"""The page of `skinjax serve` as its readers have it: by keyboard, on a phone. Skipped where there is no Chromium."""

import contextlib

import pytest
from playwright.sync_api import sync_playwright

from skinjax.core.tables import read_table
from skinjax.deploy.serve.limits import Limits
from tests.deploy.serving import HOSTILE, picture, serving, write_tiny
from tests.report.browser import CHROMIUM
from tests.report.test_in_browser import CONTRAST

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no chromium: apt-get install chromium")
FLAGS = ("--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
UNNAMED = "img:not([alt]), button:empty, th:not([scope]), input:not([id]), table:not([aria-labelledby])"
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with serving(write_tiny(tmp_path_factory.mktemp("bundle") / "tiny.skinjax")) as (url, batcher):
        batcher.compiled.wait()
        yield url


@pytest.fixture(scope="module")
def chromium():
    with (
        sync_playwright() as playwright,
        contextlib.closing(playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)) as browser,
    ):
        yield browser


@pytest.fixture
def page(chromium, url):
    """A page that asks nobody else, and whose console stays empty."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, permissions=["camera"], base_url=url)
    page, asked, faults = context.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("filechooser", lambda chooser: None)  # else it begins to be heard of when a key was pressed already
    page.set_default_timeout(10_000)
    page.goto("/")
    yield page
    assert [of for of in asked if not of.startswith((url, "data:", "blob:http://127.0.0.1"))] == []
    assert faults == []
    context.close()


def files(*names):
    return [{"name": name, "mimeType": "image/png", "buffer": picture(len(name))} for name in names]


def wide(page) -> int:
    return page.evaluate("document.documentElement.scrollWidth")


def test_photographs_are_answered_by_keyboard(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    with page.expect_file_chooser() as opened:
        page.keyboard.press("Enter")
    opened.value.set_files([*files("one.png", "<b>two</b>.png"), {**files("bad.png")[0], "buffer": b"none"}])
    page.get_by_role("status").get_by_text("3 of 3 photographs answered.").wait_for()
    rows = page.get_by_role("table", name="Answers").get_by_role("row")
    assert rows.count() == 4
    assert rows.nth(2).get_by_role("rowheader").inner_text() == "<b>two</b>.png"
    assert "such sets hold the true class of nine in ten lesions" in rows.nth(1).inner_text()
    assert HOSTILE in rows.nth(1).inner_text()
    assert "No answer: image 'bad.png' cannot be decoded" in rows.nth(3).inner_text()
    assert page.locator("b, img[src=x]").count() == 0
    page.get_by_role("button", name="What the answer to one.png rests on").focus()
    page.keyboard.press("Enter")
    shown = page.get_by_role("group", name="What the answer rests on")
    shown.wait_for()
    assert page.evaluate("document.activeElement.className") == "rests"
    widths = shown.locator("img").evaluate_all(
        "all => Promise.all(all.map(one => one.decode().then(() => one.naturalWidth)))"
    )
    assert widths == [24, 16]
    assert page.locator(UNNAMED).count() == 0
    page.set_viewport_size(PHONE)
    assert wide(page) <= PHONE["width"]
    assert (
        page.evaluate(f"{CONTRAST}('p:not(.warning, .notices p), td, th, a, h1, h2, dt, dd, figcaption, summary')")
        >= 4.5
    )
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").press("Enter")
    header, *lines = saved.value.path().read_text().splitlines()
    assert header.startswith("path,image_id,prediction,second,p_mel,p_nv,")
    assert [line.split(",")[0] for line in lines] == ["one.png", "<b>two</b>.png", "bad.png"]
    page.get_by_role("button", name="Remove all").press("Enter")
    assert page.get_by_role("row").count() == 0


def test_a_photograph_that_never_reached_the_server_has_a_row_in_the_table(page):
    page.evaluate(f"""() => {{
        const chosen = new DataTransfer();
        for (const [name, bytes] of [['=1+1, "large".jpg', {Limits().bytes + 1}], ["bad.png", 4]])
            chosen.items.add(new File([new Uint8Array(bytes)], name));
        find("#files").files = chosen.files;
        find("#files").onchange();
    }}""")
    page.get_by_role("status").get_by_text("2 of 2 photographs answered.").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as CSV").press("Enter")
    found = read_table(saved.value.path().read_bytes(), "predictions.csv")
    first, second = [row.cells for row in found.rows]
    assert (first["path"], first["image_id"]) == ('=1+1, "large".jpg', '=1+1, "large"')
    assert (first["error"], first["prediction"]) == ("the photograph is larger than the server takes", "")
    assert first["notice"] == second["notice"] == "Research use only, not a medical device."
    assert "cannot be decoded" in second["error"]
    assert "\n'=1+1" in saved.value.path().read_text().replace('"', "")


def test_the_card_and_the_notices_are_there_from_the_beginning(page):
    assert page.get_by_role("note", name="Notices").inner_text() == "Research use only, not a medical device."
    assert HOSTILE in page.get_by_role("definition").all_inner_texts()[1]
    page.set_viewport_size(PHONE)
    assert wide(page) <= PHONE["width"]
    page.mouse.wheel(0, 10_000)
    assert page.get_by_role("note", name="Notices").bounding_box()["y"] >= 0
    assert page.evaluate("document.documentElement.lang") == "en"


def test_a_camera_takes_a_photograph(page):
    page.get_by_role("button", name="Use the camera").press("Enter")
    page.get_by_role("button", name="Take the photograph").press("Enter")
    page.get_by_role("status").get_by_text("1 of 1 photograph answered.").wait_for()
    page.get_by_role("button", name="Put the camera away").press("Enter")
    assert page.evaluate("document.activeElement.id") == "camera"
    assert page.get_by_role("rowheader").inner_text() == "camera 1.png"
