"""The folder for what is kept between runs: ``POINTREND_HOME``, or the platform's cache folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pointrend.system.environment import HOME


def home() -> Path:
    """The cache folder, which need not exist."""
    chosen = HOME.read()
    if chosen:
        return Path(chosen).expanduser().absolute()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "pointrend"
