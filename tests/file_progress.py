"""What the terminal says while several processes run tests: dots of which nobody knows whose they are help no one."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from typing import Any

import pytest


class FileProgress:
    """A line for each file of tests as it begins, and for each failure as it happens."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal
        self._started = time.monotonic()
        self._begun: set[str] = set()
        self._done = 0
        self._count = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        self._count = len(ids)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        file = nodeid.partition("::")[0]
        if file not in self._begun:
            self._begun.add(file)
            self._say(file)

    def pytest_runtest_logfinish(self) -> None:
        self._done += 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome not in ("passed", "skipped"):
            self._say(f"{report.outcome.upper()} {report.nodeid}")  # "rerun" is an outcome too

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self) -> Generator[None, tuple[str, str, Any], tuple[str, str, Any]]:
        """Take the dots and letters away."""
        category, _, word = yield
        return category, "", word

    def _say(self, text: str) -> None:
        percent = 100 * self._done // self._count if self._count else 0
        self._terminal.write_line(f"{time.monotonic() - self._started:5.0f} s [{percent:3}%] {text}")
