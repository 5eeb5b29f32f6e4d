"""What a visitor waits for: bytes and seconds until the page's first picture, and until its masks, in Chromium.

    python benchmarks/page.py [--url http://127.0.0.1:7860] [--visits 5] [--json FILE]

Without --url a TorchServe and a page are started. The example is found once before, as for every visitor but a server's
first. Each visit begins with an empty cache, at 1280x720. Bytes are those on the wire. Times are from the request to
the drawn canvas; they depend on the machine, so the budgets for them are wide. The exit status is 1 where one is
exceeded.
"""

from __future__ import annotations

import json
import shutil
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer
from playwright.sync_api import Browser, sync_playwright
from rich.console import Console
from rich.table import Table

from pointrend.serving.archive import build
from pointrend.serving.page_process import Page
from pointrend.serving.torchserve import Ports, TorchServe
from pointrend.system.processes import free_ports
from pointrend.weights.folder import ModelFolder

ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"]
DRAWN = "document.querySelector('.pr-viewer')?.viewer?.scene"
PATIENCE_MS = 120_000


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to the page.

    Attributes:
        requests: until the masks were drawn.
        kilobytes: that they brought, as they came over the wire.
        first_picture_seconds: until the example's photo was drawn.
        masks_seconds: until its masks were.
        layout_shift: the cumulative layout shift up to then; 0 is none.
    """

    requests: float
    kilobytes: float
    first_picture_seconds: float
    masks_seconds: float
    layout_shift: float


BUDGET = Visit(requests=140, kilobytes=2500, first_picture_seconds=4.0, masks_seconds=6.0, layout_shift=0.1)


def visit(browser: Browser, url: str) -> Visit:
    """Open the page once, with an empty cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.add_init_script(
        """window.shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) window.shift += entry.value;
        }).observe({type: "layout-shift", buffered: true});"""
    )
    page.goto(url)
    page.wait_for_function(DRAWN, timeout=PATIENCE_MS, polling="raf")
    first = page.evaluate("performance.now() / 1000")
    page.wait_for_function(f"{DRAWN} && !{DRAWN}.isPending", timeout=PATIENCE_MS, polling="raf")
    masks = page.evaluate("performance.now() / 1000")
    figures = Visit(len(sizes), sum(sizes) / 1000, first, masks, page.evaluate("window.shift"))
    context.close()
    return figures


@contextmanager
def _page() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="pointrend-page-") as store:
        build(ModelFolder.open("demo"), Path(store))
        with TorchServe(Path(store), Ports(*free_ports(6))) as server:
            server.wait_ready()
            with Page(server.url, free_ports(1)[0]) as page:
                page.wait_ready()
                yield page.url


def measure(url: str, visits: int) -> Visit:
    """Medians of several visits.

    Args:
        url: the page's.
        visits: how many, after one that is not counted.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        visit(browser, url)
        seen = [asdict(visit(browser, url)) for _ in range(visits)]
        browser.close()
    return Visit(**{name: statistics.median(each[name] for each in seen) for name in seen[0]})


def main(
    url: Annotated[str | None, typer.Option(help="Visit a page that runs already instead.")] = None,
    visits: Annotated[int, typer.Option(min=1, help="How many, after a first one that is not counted.")] = 5,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures there too.")] = None,
) -> None:
    """Measure and tell."""
    if url is None:
        with _page() as started:
            figures = measure(started, visits)
    else:
        figures = measure(url, visits)
    found, budget = asdict(figures), asdict(BUDGET)
    table = Table("", "median", "budget")
    for name, value in found.items():
        table.add_row(
            name.replace("_", " "), f"{value:.2f}", f"{budget[name]:g}{'' if value <= budget[name] else ' !'}"
        )
    Console().print(table)
    if json_file is not None:
        json_file.write_text(json.dumps({"figures": found, "budget": budget}, indent=2) + "\n")
    raise typer.Exit(0 if all(value <= budget[name] for name, value in found.items()) else 1)


if __name__ == "__main__":
    typer.run(main)
