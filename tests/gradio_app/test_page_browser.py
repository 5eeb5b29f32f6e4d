"""The page as a person uses it: a real headless Chromium, a real TorchServe, a camera that shows a real photo."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gradio_app.examples import EXAMPLES
from pointrend.launcher import Page as PageProcess
from pointrend.processes import free_ports

pytestmark = [pytest.mark.server, pytest.mark.browser]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium was found; on Debian and Ubuntu: apt-get install chromium")
    # The fake camera plays a film of JPEG frames that all show the astronaut.
    frame = io.BytesIO()
    Image.open(EXAMPLES[0].path).convert("RGB").resize((640, 480)).save(frame, "JPEG")
    film = tmp_path_factory.mktemp("camera") / "astronaut.mjpeg"
    film.write_bytes(frame.getvalue() * 3)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, f"--use-file-for-fake-video-capture={film}"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page_url(served):
    with PageProcess(served.url, free_ports(1)[0]) as process:
        process.wait_ready()
        yield process.url


@pytest.fixture
def page(browser: Browser, page_url: str):
    yield from open_page(browser, page_url)


def open_page(browser: Browser, url: str, width: int = 1280, height: int = 950):
    """A fresh visit; whatever happens in it, nothing but the page's own server is asked, and no script fails."""
    context = browser.new_context(viewport={"width": width, "height": height}, permissions=["camera"])
    visit = context.new_page()
    asked: list[str] = []
    failures: list[str] = []
    visit.on("request", lambda request: asked.append(request.url))
    visit.on("pageerror", lambda error: failures.append(str(error)))
    visit.goto(url)
    expect(visit.locator("#photo")).to_be_visible(timeout=PATIENCE_MS)
    yield visit
    context.close()
    elsewhere = [address for address in asked if not address.startswith((url, "data:", "blob:"))]
    assert asked
    assert elsewhere == []
    assert failures == []


def upload(page: Page, path: Path) -> None:
    page.locator("#photo input[type=file]").first.set_input_files(path)


def wait_for_status(page: Page, pattern: str) -> None:
    expect(page.locator("#status")).to_contain_text(re.compile(pattern), timeout=PATIENCE_MS)


def shown_result(page: Page) -> Image.Image:
    """The picture that the page shows, fetched as its reader would save it."""
    picture = page.locator("#result img").first
    expect(picture).to_be_visible(timeout=PATIENCE_MS)
    address = picture.get_attribute("src")
    assert address is not None
    return Image.open(io.BytesIO(page.request.get(address).body()))


def choose_astronaut(page: Page) -> None:
    page.get_by_role("button", name="Astronaut").click()
    wait_for_status(page, "Found .*person")


def test_an_example_shows_masks_and_a_table(page):
    choose_astronaut(page)

    result = shown_result(page)
    assert result.format == "PNG"
    assert result.size == (512, 512)
    assert result.convert("RGB").tobytes() != Image.open(EXAMPLES[0].path).convert("RGB").tobytes()
    expect(page.locator("#found")).to_contain_text("person 1")
    expect(page.locator("#found")).to_contain_text("person 2")


def test_the_threshold_decides_what_is_shown(page):
    choose_astronaut(page)
    page.locator("input[type=number]").first.fill("0.85")
    page.locator("#segment").click()
    wait_for_status(page, "Found 1 x person")
    expect(page.locator("#found")).not_to_contain_text("person 2")


def test_an_upload_runs_by_itself(page, tmp_path):
    photo = tmp_path / "photo.jpg"
    Image.open(EXAMPLES[0].path).convert("RGB").resize((300, 300)).save(photo)
    upload(page, photo)
    wait_for_status(page, "Found .*300 x 300")
    assert shown_result(page).size == (300, 300)


def test_a_webcam_snapshot_is_segmented(page):
    page.locator('#photo button[aria-label="Capture from camera"]').click()
    page.locator('#photo [title="grant webcam access"]').click()
    page.locator('#photo button[aria-label="capture photo"]').click(timeout=PATIENCE_MS)
    wait_for_status(page, "Found .*person")
    assert shown_result(page).width > 0


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.jpg", b"this is no photo", "not an image that can be read"),
        ("empty.jpg", b"", "empty"),
        ("cut.png", EXAMPLES[0].path.read_bytes()[:20_000], "damaged or ends too early"),
    ],
)
def test_a_bad_file_is_said_and_the_last_result_stays(page, tmp_path, name, content, said):
    choose_astronaut(page)
    bad = tmp_path / name
    bad.write_bytes(content)

    upload(page, bad)

    wait_for_status(page, said)
    expect(page.locator("#found")).to_contain_text("person 1")
    assert shown_result(page).size == (512, 512)
    page.get_by_role("button", name="Cat").click()  # the page is not stuck
    wait_for_status(page, "Found .*451 x 300")


def test_a_server_that_is_down_is_said(browser):
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    with PageProcess(nobody, free_ports(1)[0]) as process:
        process.wait_ready()
        for visit in open_page(browser, process.url):
            visit.get_by_role("button", name="Astronaut").click()
            wait_for_status(visit, f"No server answers at {nobody}. Start one with: make run")


@pytest.mark.parametrize(("width", "height"), [(1280, 950), (390, 844)], ids=["desktop", "phone"])
def test_the_layout_fits_the_screen(browser, page_url, width, height, tmp_path):
    for visit in open_page(browser, page_url, width, height):
        choose_astronaut(visit)
        shown_result(visit)
        visit.screenshot(path=tmp_path / "page.png", full_page=True)
        assert Image.open(tmp_path / "page.png").width == width
        assert visit.evaluate("document.documentElement.scrollWidth") <= width
