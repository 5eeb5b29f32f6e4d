"""Services that end, hang or do not come back, with programs in place of TorchServe."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointrend.serving.supervisor import Limit, Probe, Restarts, Silence, Supervisor
from pointrend.system.processes import LaunchError
from pointrend.system.service import Service

QUICK = Limit(restarts=3, seconds=600, first_pause=0.01, longest_pause=0.02)
RUNS = "import time; open('ready', 'w').close(); time.sleep(600)"
COUNTS = "import os, sys; print(end='x', file=open('starts', 'a')); start = os.path.getsize('starts'); "
STARTS_ONCE = COUNTS + "sys.exit('OSError: no room') if start > 1 else None; " + RUNS
FAILS_TWICE = COUNTS + "sys.exit(7) if start in (2, 3) else None; " + RUNS


class Program(Service):
    """A Python program that is ready once it has written the file ``ready`` since its last start."""

    def __init__(self, folder: Path, code: str, answers: Callable[[], bool] | None = None) -> None:
        folder.mkdir()
        self.folder = folder
        self._answers = answers
        super().__init__("The thing", [sys.executable, "-c", code], folder, os.environ)

    @property
    def probes(self) -> Sequence[Probe]:
        return [] if self._answers is None else [Probe(self._answers, 0.05, 0.2, " /ping")]

    def _clear(self) -> None:
        (self.folder / "ready").unlink(missing_ok=True)

    def wait_ready(self) -> None:
        self.wait_until((self.folder / "ready").exists, 60)


class Said:
    """What a supervisor has said; a line can be waited for."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, line: str) -> None:
        with self._changed:
            self.lines.append(line)
            self._changed.notify_all()

    def wait_for(self, words: str, count: int = 1) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: sum(words in line for line in self.lines) >= count, 60), self.lines


def kill(service: Service, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(service.pid, number)


@pytest.fixture
def said() -> Said:
    return Said()


def test_what_was_killed_is_restarted_in_its_folder_and_each_step_is_one_line(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", RUNS) as service, Supervisor([service], said, limit=QUICK):
        service.wait_ready()
        first = service.pid
        kill(service)
        said.wait_for("ready again")
        assert service.running()
        assert service.pid != first
        assert len(said.lines) == 3, "\n".join(said.lines)
        died, restarting, ready = said.lines
    assert re.fullmatch(r"The thing was ended by SIGKILL \(9\), often .* killer; its log is \S+\.log\.", died)
    assert restarting == "Restarting the thing in 0.01 s; at most 3 times in 10 minutes."
    assert re.fullmatch(r"The thing is ready again after \d+ s\.", ready)


def test_too_many_ends_are_the_end_and_say_what_happened(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", RUNS) as service, Supervisor([service], said, limit=QUICK) as supervisor:
        service.wait_ready()
        for count in range(1, QUICK.restarts + 1):
            kill(service)
            said.wait_for("ready again", count)
        kill(service, signal.SIGTERM)
        with pytest.raises(LaunchError) as caught:
            supervisor.wait()
    text = str(caught.value)
    assert re.match(
        r"The thing was ended by SIGTERM \(15\); its log is \S+\.log\. It was restarted 3 times in 10 m", text
    )
    assert "\n" not in text


def test_a_second_end_during_the_restart_counts_and_tells_the_line_of_the_log(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", STARTS_ONCE) as service, Supervisor([service], said, limit=QUICK) as supervisor:
        service.wait_ready()
        kill(service)
        with pytest.raises(LaunchError, match=r"ended with exit status 1 \(OSError: no room\); its log is .* 3 times"):
            supervisor.wait()


def test_it_may_take_several_restarts(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", FAILS_TWICE) as service, Supervisor([service], said, limit=QUICK):
        service.wait_ready()
        kill(service)
        said.wait_for("ready again")
        assert sum("exit status 7" in line for line in said.lines) == 2


def test_what_hangs_is_restarted(tmp_path: Path, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointrend.system.service.GRACE_SECONDS", 0.5)  # a stopped process heeds no request
    answering = threading.Event()
    with Program(tmp_path / "it", RUNS, answering.is_set) as service, Supervisor([service], said, limit=QUICK):
        service.wait_ready()
        kill(service, signal.SIGSTOP)
        said.wait_for("The thing did not answer /ping in ")
        answering.set()
        said.wait_for("ready again")
        assert psutil.Process(service.pid).status() != psutil.STATUS_STOPPED


def test_without_restarts_the_first_end_is_the_last(tmp_path: Path, said: Said) -> None:
    limit = Limit(restarts=0)
    with Program(tmp_path / "it", RUNS) as service, Supervisor([service], said, limit=limit) as supervisor:
        service.wait_ready()
        kill(service)
        with pytest.raises(LaunchError, match=r"SIGKILL \(9\), often .* killer; its log is \S+\.log\.$"):
            supervisor.wait()
    assert said.lines == []


def test_what_somebody_replaces_is_left_alone(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", RUNS) as service, Supervisor([service], said, limit=QUICK):
        service.wait_ready()
        with service.replacing:
            kill(service)
            assert not said.lines
            service.restart()
            service.wait_ready()
        assert not said.lines


def test_a_stop_during_a_restart_ends_it_and_leaves_nothing(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", "import time; time.sleep(600)") as service:
        with Supervisor([service], said, limit=QUICK):
            kill(service)
            said.wait_for("Restarting")
        service.stop()
        last = service.pid
        with pytest.raises(LaunchError, match="was stopped"):
            service.restart()
        assert service.pid == last
        assert not service.running()
    assert not service.folder.exists()
    assert not [line for line in said.lines if "again" in line]


def test_a_folder_that_is_gone_is_said(tmp_path: Path, said: Said) -> None:
    with Program(tmp_path / "it", RUNS) as service, Supervisor([service], said, limit=QUICK) as supervisor:
        service.wait_ready()
        service.folder.rename(tmp_path / "elsewhere")
        kill(service)
        with pytest.raises(LaunchError, match=r"The thing cannot be started again \(No such file or directory: .*it"):
            supervisor.wait()


def test_what_a_killed_parent_left_behind_ends_before_the_next_start(tmp_path: Path, said: Said) -> None:
    code = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'input()']).pid, flush=True); "
    code = code.replace("input()", "import time; time.sleep(600)")
    with Program(tmp_path / "it", code + RUNS) as service, Supervisor([service], said, limit=QUICK):
        service.wait_ready()
        orphan = psutil.Process(int(service.log().split()[0]))
        kill(service)
        said.wait_for("ready again")
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE


def test_a_fault_of_the_supervisor_itself_is_not_silent(tmp_path: Path, said: Said) -> None:
    def fails() -> bool:
        raise ZeroDivisionError

    with (
        Program(tmp_path / "it", RUNS, fails) as service,
        Supervisor([service], said) as supervisor,
        pytest.raises(ZeroDivisionError),
    ):
        supervisor.wait()


@given(st.lists(st.tuples(st.floats(0, 1000), st.booleans()), max_size=40))
def test_no_window_has_more_restarts_than_the_limit(steps: list[tuple[float, bool]]) -> None:
    limit, now = Limit(restarts=3, seconds=600), 0.0
    began: list[float] = []
    restarts = Restarts(limit)
    streak = 0
    for seconds, succeeds in steps:
        now += seconds
        pause = restarts.begin(now)
        recent = [each for each in began if now - each < limit.seconds]
        if pause is None:
            assert len(recent) >= limit.restarts or streak >= 1
            return
        assert len(recent) < limit.restarts
        assert limit.first_pause <= pause <= limit.longest_pause
        began.append(now)
        streak += 1
        assert streak <= limit.restarts
        if succeeds:
            restarts.succeeded()
            streak = 0


def test_what_never_gets_ready_ends_however_long_each_try_takes() -> None:
    restarts = Restarts(Limit(restarts=3, seconds=600))
    assert [restarts.begin(now) for now in (0, 1000, 2000, 3000)] == [1.0, 2.0, 4.0, None]


def test_restarts_of_long_ago_do_not_count() -> None:
    restarts = Restarts(Limit(restarts=2, seconds=600))
    for now in range(0, 10_000, 700):
        assert restarts.begin(float(now)) == 1.0
        restarts.succeeded()


def test_silence_is_counted_from_the_first_question_without_an_answer() -> None:
    now, answers = 0.0, False
    silence = Silence(Probe(lambda: answers, every=5, patience=60), now)
    now = 1000.0  # the launcher was suspended: its own absence is no silence
    assert silence.lasts(lambda: now) is None
    now = 1055.0
    assert silence.lasts(lambda: now) is None
    now = 1060.0
    assert silence.lasts(lambda: now) == 60
    answers = True
    now = 1070.0
    assert silence.lasts(lambda: now) is None


def test_a_silent_service_is_not_asked_at_each_look() -> None:
    asked: list[float] = []

    def says_no() -> bool:
        asked.append(time.monotonic())
        return False

    silence = Silence(Probe(says_no, every=5, patience=60), 0.0)
    for tenth in range(100):
        silence.lasts(lambda now=tenth / 10: now)  # type: ignore[misc]
    assert len(asked) == 1
