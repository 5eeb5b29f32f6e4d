"""``python -m pointrend``: the command line."""

from __future__ import annotations

from pointrend.cli.main import main

main()
