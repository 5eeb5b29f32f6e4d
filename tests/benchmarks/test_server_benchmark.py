"""The benchmark through the server asks what it says it asks; how fast it is, is not a test's to judge."""

import subprocess
import sys

import pytest

from benchmarks.server import Figures, Memory, Subject, handler_milliseconds, markdown, measure, photo


def test_the_handlers_time_is_the_sum_of_its_stages():
    assert handler_milliseconds("decode;dur=1.5, inference;dur=20, encode;dur=0.25") == 21.75
    with pytest.raises(ValueError, match="no durations"):
        handler_milliseconds("miss")


def test_the_table_is_markdown():
    lines = markdown([Figures(2, 1, 4, 412.3, 500.6, 9.876, 301.25)], "Two cores.").splitlines()
    assert [cell.strip() for cell in lines[2].strip("|").split("|")] == ["2", "1", "4", "412", "501", "9.88", "301.2"]
    assert {line.count("|") for line in lines[:3]} == {8}
    assert lines[-1] == "Two cores."


@pytest.mark.server
def test_clients_together_are_answered_and_the_handlers_time_is_within_theirs(served):
    figures = Figures.of(Subject(1, 1), 2, [measure(served.url, photo(96), clients=2, requests=6)])
    assert figures.clients == 2
    assert figures.p95_ms >= figures.p50_ms > figures.beyond_ms > 0
    assert figures.answers_a_second > 0


@pytest.mark.server
def test_the_worker_is_found_by_its_server_and_by_nobody_else(served):
    memory = Memory.of(served.pid)
    assert memory.resident == memory.largest > 100e6  # torch alone takes more
    assert 0 < memory.proportional <= memory.resident
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        with pytest.raises(ValueError, match="no worker"):
            Memory.of(other.pid)
        other.communicate()
