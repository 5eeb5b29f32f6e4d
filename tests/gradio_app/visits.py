"""Visits to the page by a real headless Chromium, for the tests that drive one."""

import base64
import io
import re
from contextlib import contextmanager

import numpy as np
from PIL import Image
from playwright.sync_api import expect

from gradio_app.examples import by_key

PATIENCE_MS = 60_000
ASTRONAUT = by_key("astronaut").path


@contextmanager
def visit(browser, url, width=1280, height=950, **context_options):
    """A fresh visit; whatever happens in it, nothing but the page's own server is asked, and no script fails."""
    size = {"width": width, "height": height}
    context = browser.new_context(viewport=size, permissions=["camera"], accept_downloads=True, **context_options)
    page = context.new_page()
    asked, failures = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: failures.append(str(error)))
    page.goto(url)
    expect(page.locator("#viewer canvas")).to_be_visible(timeout=PATIENCE_MS)
    yield page
    context.close()
    assert asked
    assert [address for address in asked if not address.startswith((url, "data:", "blob:"))] == []
    assert failures == []


def wait_for(page, locator, pattern):
    expect(page.locator(locator)).to_contain_text(re.compile(pattern), timeout=PATIENCE_MS)


def choose_astronaut(page):
    page.locator("#examples [data-key=astronaut]").click()
    wait_for(page, "#status", "Found .*person.*512 x 512")


def upload(page, *files):
    page.locator("#upload").set_input_files(list(files))


def set_slider(page, locator, value):
    """Move a slider of the viewer, which is in steps of its own."""
    page.locator(locator).fill(str(value))


def look(page, expression):
    """What an expression gives of the viewer, which is ``viewer`` in it."""
    return page.evaluate(f"() => {{ const viewer = document.querySelector('.pr-viewer').viewer; return {expression} }}")


def drawn(page):
    """The picture on the viewer's canvas, (h, w, 4) uint8, once the browser has drawn it."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    address = look(page, "viewer.stage.canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"), dtype=int)


def place_of(page, x, y):
    """Where a point of the shown photo is in the browser's window, x and y as shares of its width and height."""
    left, top, scale, width, height = look(
        page, "[...viewer.stage.view.offset, viewer.stage.view.scale, viewer.scene.width, viewer.scene.height]"
    )
    box = page.locator(".pr-stage").bounding_box()
    return box["x"] + left + x * width * scale, box["y"] + top + y * height * scale


def open_tab(page, name):
    page.get_by_role("tab", name=name).click()
