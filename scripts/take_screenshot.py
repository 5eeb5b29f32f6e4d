"""Take the picture of the page that the README and the documentation show: ``python scripts/take_screenshot.py``.

Needs a page that runs (``make run``) and Chromium.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).parents[1] / "docs" / "screenshot.png"
EXAMPLE = "wine"  # several objects
THRESHOLD = "0.5"


def main(
    url: Annotated[str, typer.Option(help="Where the page is.")] = "http://127.0.0.1:7860",
    out: Annotated[Path, typer.Option(help="Where the picture goes.")] = PICTURE,
    width: int = 1280,
    height: int = 720,
    dark: bool = False,
) -> None:
    """Open the page, choose an example, and take its picture."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--headless", "--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
        page.goto(f"{url}/#image/{EXAMPLE}")
        page.locator("#status").get_by_text("Found").wait_for(timeout=120_000)
        page.locator("#server-state").get_by_text("ready").wait_for(timeout=60_000)
        page.locator("#threshold").fill(THRESHOLD)
        page.locator("#found li").first.hover()
        page.wait_for_timeout(500)  # milliseconds; the browser draws
        page.screenshot(path=out)
        browser.close()


if __name__ == "__main__":
    typer.run(main)
