"""The programs in the documentation of the Open Inference Protocol."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "serving" / "open-inference.md"
DOCUMENTED = "127.0.0.1:8080"
"""The server's address there."""


def documented_program(package: str) -> str:
    """The one program that imports a package."""
    programs: list[str] = re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (found,) = (program for program in programs if f"import {package}" in program or f"from {package}" in program)
    assert DOCUMENTED in found
    return found
