"""A headless Chromium with a camera that shows a photo, and the page of the tests' TorchServe."""

import io

import pytest
from PIL import Image

from gradio_app.examples import EXAMPLES
from tests.chromium import ARGUMENTS, CAMERA, CHROMIUM


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no Chromium was found; on Debian and Ubuntu: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    # The fake camera plays a film of JPEG frames that all show the astronaut.
    frame = io.BytesIO()
    Image.open(EXAMPLES[0].path).convert("RGB").resize((640, 480)).save(frame, "JPEG")
    film = tmp_path_factory.mktemp("camera") / "astronaut.mjpeg"
    film.write_bytes(frame.getvalue() * 3)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *CAMERA, f"--use-file-for-fake-video-capture={film}"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser, page_url):
    """A visit to the page, once its first example has been segmented."""
    from tests.gradio_app.visits import visit, wait_for

    with visit(browser, page_url) as page:
        wait_for(page, "#status", "Found")
        yield page


@pytest.fixture(scope="module")
def page_url(served):
    from pointrend.serving.page_process import Page
    from tests.ports import free_ports

    with Page(served.url, free_ports(1)[0]) as process:
        process.wait_ready()
        yield process.url
