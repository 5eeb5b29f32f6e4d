"""MkDocs hooks: pages of the site whose source lies outside ``docs/``, where GitHub and editors look for it."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parent.parent
OUTSIDE = {
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "SECURITY.md": "SECURITY.md",
    "deploy/spaces.md": "spaces/README.md",
}
"""The page's place on the site, and its source in the repository."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from outside."""
    for place, source in OUTSIDE.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Make their links, which are relative to the repository, relative to the site; all others stay."""
    source = OUTSIDE.get(page.file.src_uri)
    if source is None:
        return markdown
    up = "../" * page.file.src_uri.count("/")
    here = "../" * source.count("/")
    return re.sub(rf"\]\({re.escape(here)}docs/", f"]({up}", markdown)
