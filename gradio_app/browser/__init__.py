"""What runs in the visitor's browser: scripts and a style sheet, plain files without a build step."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent


def script(*names: str) -> str:
    """Several scripts as one, in which each sees what those before it declare.

    Args:
        names: of files here, without ``.js``.
    """
    return "\n".join((_FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names)


def style(name: str) -> str:
    """A style sheet.

    Args:
        name: of a file here, without ``.css``.
    """
    return (_FOLDER / f"{name}.css").read_text(encoding="utf-8")
