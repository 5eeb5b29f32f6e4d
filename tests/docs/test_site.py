"""The documentation site builds strictly, its links lead somewhere, and its pages load nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

from scripts import draw_diagrams
from scripts.sphinx_roles import to_markdown

ROOT = Path(__file__).parents[2]
LOADED = {("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("object", "data")}
NOT_LOADED = {"canonical", "next", "prev"}  # values of <link rel> that browsers do not fetch


@dataclass
class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    text: str
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.anchors |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.links.append(named["href"])
        if named.get("rel") not in NOT_LOADED:
            self.loads += [named[name] for kind, name in LOADED if kind == tag and name in named]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as ``make docs`` builds it, with every way out of this machine closed."""
    folder = tmp_path_factory.mktemp("site")
    closed = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **closed, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}


def test_every_link_leads_to_a_page_and_its_anchor(site: Path, pages: dict[Path, Page]) -> None:
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            place, anchor = urldefrag(link)
            if urlsplit(link).scheme or place.startswith("//"):
                continue
            base = site if place.startswith("/") else path.parent
            target = (base / unquote(place.lstrip("/"))).resolve() if place else path
            target = target / "index.html" if target.is_dir() else target
            anchor = unquote(anchor)
            if not target.is_file() or (
                anchor and target in pages and anchor not in pages[target].anchors | {"__skip"}
            ):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert len(pages) > 30
    assert not broken


def test_a_page_loads_nothing_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    elsewhere = {
        (path.relative_to(site).as_posix(), load)
        for path, page in pages.items()
        for load in page.loads
        if urlsplit(load).netloc
    }
    assert not elsewhere
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert not re.findall(r"(?:@import|url\()\s*[\"']?https?:", styles)


def test_the_reference_shows_signatures_and_docstrings(site: Path) -> None:
    client = (site / "reference" / "client.html").read_text(encoding="utf-8")
    assert 'id="pointrend.client.Client.segment"' in client
    for page in (site / "reference").glob("*.html"):
        assert not re.findall(r":(?:class|func|meth|mod|data):", page.read_text(encoding="utf-8")), page.name


def test_every_page_begins_with_its_title(site: Path, pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        if path.name not in ("404.html", "benchmarks-table.html"):
            assert len(re.findall(r"<h1[ >]", page.text)) == 1, path


def test_diagrams_are_current() -> None:
    for name, draw in draw_diagrams.DIAGRAMS.items():
        text = (draw_diagrams.FOLDER / name).read_text(encoding="utf-8")
        assert text == draw(), f"{name} is out of date: python scripts/draw_diagrams.py"
        ET.fromstring(text)


def test_the_diagram_shows_every_package() -> None:
    packages = {path.parent.name for path in (ROOT / "pointrend").glob("*/__init__.py")}
    drawn = {name.strip() for layer in draw_diagrams.layers() for name in layer.split("|")}
    assert packages <= drawn


def test_roles_become_links() -> None:
    assert to_markdown("a :class:`Local`") == "a `Local`"
    assert to_markdown("see :func:`~a.b.c`") == 'see <autoref identifier="a.b.c" optional>`c`</autoref>'
    assert to_markdown(".. code-block:: python\n\n    x = 1\n\nAfter") == "```python\nx = 1\n```\n\nAfter"
