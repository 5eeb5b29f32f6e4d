"""What concerns the whole test run: an option of it, and how long each suite took."""

from __future__ import annotations

from collections import defaultdict

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--fail-on-skip``."""
    parser.addoption("--fail-on-skip", action="store_true", help="a skipped test fails the run: for CI")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Turn a run with skipped tests into a failed one where that was asked for."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if session.config.getoption("--fail-on-skip") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how long each folder's tests took, their fixtures included."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                _, _, below = report.nodeid.partition("tests/")
                seconds[below.split("/")[0] if "/" in below else "others"] += report.duration
    slowest = sorted(seconds.items(), key=lambda item: -item[1])
    minutes = ", ".join(f"{suite} {spent / 60:.1f}" for suite, spent in slowest if spent >= 3)
    if minutes:
        terminalreporter.write_line(f"minutes by suite: {minutes}")
