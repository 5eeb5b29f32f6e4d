"""Writes docs/openapi.json, and the tables of docs/api.md and docs/settings.md between their markers.

Run it as ``python scripts/write_api_docs.py``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from openapi import document  # noqa: E402

from handler.config import HandlerConfig  # noqa: E402
from handler.metrics import DESCRIPTIONS  # noqa: E402
from pointrend.error_codes import ERROR_CODES  # noqa: E402
from pointrend.structures.options import FORMATS, table  # noqa: E402
from pointrend.system.environment import VARIABLES  # noqa: E402

PAGES = {
    ROOT / "docs" / "api.md": ("options", "formats", "errors", "metrics"),
    ROOT / "docs" / "settings.md": ("variables", "handler"),
}
"""The markers of each page."""
OPENAPI = ROOT / "docs" / "openapi.json"


def tables() -> dict[str, str]:
    """The generated parts of the pages, by the name of their marker."""
    kinds = tuple(dict.fromkeys(kind for formats in FORMATS.values() for kind in formats))
    return {
        "options": _markdown(
            ("option", "values", "default", "meaning"),
            ((f"`{each.name}`", each.kind.values(), _default(each.default), each.meaning + ".") for each in table()),
        ),
        "formats": _markdown(
            ("task", *(f"`{kind}`" for kind in kinds)),
            ((f"`{task}`", *(formats.get(kind, "422") for kind in kinds)) for task, formats in FORMATS.items()),
        ),
        "errors": _markdown(
            ("status", "code", "found by", "meaning"),
            (
                (str(each.status), f"`{each.code}`", each.origin, each.meaning + ".")
                for each in sorted(ERROR_CODES, key=lambda each: each.status)
            ),
        ),
        "metrics": _markdown(
            ("metric", "what it counts"), ((f"`{name}`", f"{said}.") for name, said in DESCRIPTIONS.items())
        ),
        "variables": _markdown(
            ("variable", "meaning"), ((f"`{variable.name}`", variable.help) for variable in VARIABLES)
        ),
        "handler": _markdown(
            ("setting", "default", "meaning"),
            ((f"`{each.name}`", _default(each.default), each.metadata["help"]) for each in fields(HandlerConfig)),
        ),
    }


def markdown(text: str, markers: Iterable[str]) -> str:
    """A page with its tables made anew.

    Raises:
        ValueError: a marker is missing.
    """
    made = tables()
    for name in markers:
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (opened and closed):
            raise ValueError(f"The page has no markers <!-- {name} --> and <!-- /{name} -->.")
        text = f"{before}{start}{made[name]}\n{end}{after}"
    return text


def openapi() -> str:
    """docs/openapi.json."""
    return json.dumps(document(), indent=1) + "\n"


def _markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _default(value: object) -> str:
    if value is None:
        return ""
    return f"`{json.dumps(value)}`" if not isinstance(value, str) else f"`{value}`"


def main() -> None:
    """Write the pages and the OpenAPI file."""
    for page, markers in PAGES.items():
        page.write_text(markdown(page.read_text(encoding="utf-8"), markers), encoding="utf-8")
    OPENAPI.write_text(openapi(), encoding="utf-8")


if __name__ == "__main__":
    main()
