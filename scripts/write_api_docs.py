"""Write docs/openapi.json and the generated tables in docs: ``python scripts/write_api_docs.py``.

A table stands between the markers ``<!-- NAME -->`` and ``<!-- /NAME -->`` of its page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from handler.config import HandlerConfig  # noqa: E402
from pointrend.error_codes import ERROR_CODES  # noqa: E402
from pointrend.service.metrics import DESCRIPTIONS  # noqa: E402
from pointrend.structures.option_combinations import FORMATS  # noqa: E402
from pointrend.structures.options import table  # noqa: E402
from pointrend.system.environment import VARIABLES  # noqa: E402
from scripts.openapi import document  # noqa: E402

SERVING = ROOT / "docs" / "serving"
PAGES = {
    SERVING / "rest.md": ("options", "formats"),
    SERVING / "errors.md": ("errors",),
    SERVING / "operations.md": ("metrics",),
    ROOT / "docs" / "settings.md": ("variables", "handler"),
}
"""The pages with generated tables, and the names of their tables."""
OPENAPI = ROOT / "docs" / "openapi.json"


def tables() -> dict[str, str]:
    """Every generated table, by the name of its marker."""
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
            ("status", "code", "from", "meaning"),
            (
                (str(each.status), f"`{each.code}`", each.origin, each.meaning + ".")
                for each in sorted(ERROR_CODES, key=lambda each: each.status)
            ),
        ),
        "metrics": _markdown(("metric", "meaning"), ((f"`{name}`", f"{said}.") for name, said in DESCRIPTIONS.items())),
        "variables": _markdown(
            ("variable", "meaning"), ((f"`{variable.name}`", variable.help) for variable in VARIABLES)
        ),
        "handler": _markdown(
            ("setting", "default", "meaning"),
            ((f"`{each.name}`", _default(each.default), each.metadata["help"]) for each in fields(HandlerConfig)),
        ),
    }


def markdown(page: Path, text: str) -> str:
    """The page's text with its tables replaced by current ones.

    Args:
        page: one of :data:`PAGES`.
        text: what it holds now.

    Raises:
        ValueError: a marker is missing.
    """
    current = tables()
    for name in PAGES[page]:
        rows = current[name]
        start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, opened, rest = text.partition(start)
        _, closed, after = rest.partition(end)
        if not (opened and closed):
            raise ValueError(f"{page.name} has no markers <!-- {name} --> and <!-- /{name} -->.")
        text = f"{before}{start}{rows}\n{end}{after}"
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
    """Write all of them."""
    for page in PAGES:
        page.write_text(markdown(page, page.read_text(encoding="utf-8")), encoding="utf-8")
    OPENAPI.write_text(openapi(), encoding="utf-8")


if __name__ == "__main__":
    main()
