"""What concerns the whole test run: an option of it, in how many processes it runs, and how long each suite took."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.file_progress import FileProgress

if TYPE_CHECKING:  # none where the suite runs in one process without it
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling


# For PyTorch in the tests and in all that they start, before it is imported. Its threads spin while they wait for each
# other by default, and where another process needs the core too, that takes many times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--fail-on-skip``."""
    parser.addoption("--fail-on-skip", action="store_true", help="a skipped test fails the run: for CI")


@pytest.hookimpl(trylast=True)  # the terminal's reporter comes first
def pytest_configure(config: pytest.Config) -> None:
    """Say which file begins where several processes run tests."""
    parallel = config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput")
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if parallel and terminal is not None and config.get_verbosity() == 0:
        config.pluginmanager.register(FileProgress(terminal))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """With ``-n auto``: two processes for the whole suite, and none besides this one for a part of it."""
    from tests.suite_scheduling import PROCESSES

    selects = ("file_or_dir", "keyword", "markexpr", "lf", "deselect", "ignore", "ignore_glob", "collectonly")
    return 0 if any(config.getoption(name, None) for name in selects) else PROCESSES


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling | None:
    """Hand out whole suites, unless ``--dist`` wants something else."""
    from tests.suite_scheduling import SuiteScheduling

    return SuiteScheduling(config, log) if config.getoption("dist") == "load" else None


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
