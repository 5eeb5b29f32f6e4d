import os
import re
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from pointrend.system import kept_logs, processes
from pointrend.system.processes import LaunchError, ProcessGroup, child_environment, free_ports, require_free_port
from pointrend.system.service import Service


def test_a_port_in_use_is_said_with_the_option_that_chooses_another():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(LaunchError, match=rf"Port {port}, wanted for the page, .*--port"):
            require_free_port(port, "the page", "--port")


def test_free_ports_are_free_and_different():
    ports = free_ports(5)
    assert len(set(ports)) == 5
    for port in ports:
        require_free_port(port, "a test", "--port")


SECRET_NAMES = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "POINTREND_TOKEN",
    "POINTREND_TOKEN_FILE",
    "POINTREND_KEY_FILE",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "OPENAI_API_KEY",
    "PGPASSWORD",
    "DATABASE_PASSWORD_2",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "MYSQL_PWD",
    "github_token",
    "SMTP-PASS",
)
PLAIN_NAMES = ("PWD", "OLDPWD", "KEYBOARD_LAYOUT", "TOKENIZERS_PARALLELISM", "POINTREND_MODEL", "MONKEY", "COMPASS")


def test_a_child_gets_no_secrets(monkeypatch):
    for name in SECRET_NAMES + PLAIN_NAMES:
        monkeypatch.setenv(name, "value")
    environment = child_environment()
    assert environment.keys().isdisjoint(SECRET_NAMES)
    assert environment.keys() >= set(PLAIN_NAMES)
    assert environment["PATH"] == os.environ["PATH"]


def test_a_child_gets_what_it_is_given_by_name(monkeypatch):
    monkeypatch.setenv("POINTREND_KEY_FILE", "/another")
    assert child_environment(POINTREND_KEY_FILE="/key.json", TMPDIR="/t")["POINTREND_KEY_FILE"] == "/key.json"
    assert os.environ["POINTREND_KEY_FILE"] == "/another"


PARENT_AND_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def test_stop_ends_the_children_too(tmp_path):
    log = tmp_path / "log"
    group = ProcessGroup([sys.executable, "-c", PARENT_AND_CHILD], log=log, cwd=tmp_path, env=os.environ)
    while not log.read_text().endswith("\n"):
        assert group.running()
    child = psutil.Process(int(log.read_text()))

    group.stop()

    assert not group.running()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_group_tells_that_it_ended_and_what_it_said(tmp_path):
    group = ProcessGroup([sys.executable, "-c", "print('over')"], log=tmp_path / "log", cwd=tmp_path, env=os.environ)
    group._process.wait()
    assert not group.running()
    assert group.tail() == "over"
    group.stop()


def test_a_log_is_cut_down_to_its_end_while_it_is_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LARGEST_LOG", 3000)
    monkeypatch.setattr(kept_logs, "MOST_BYTES", 1000)
    code = "import sys\nfor line in sys.stdin: print(line.strip().ljust(99), flush=True)"
    written = tmp_path / "written"
    os.mkfifo(written)
    # Reads what is written to the FIFO, which the test opens too, so that it never ends.
    group = ProcessGroup(
        ["sh", "-c", f"exec {sys.executable} -c '{code}' < {written}"],
        log=tmp_path / "log",
        cwd=tmp_path,
        env=os.environ,
    )
    with written.open("w", buffering=1) as lines:
        for number in range(100):
            lines.write(f"{number}\n")
            while f"{number} " not in group.tail():
                assert group.running()
            group.bound_log()
            assert (tmp_path / "log").stat().st_size <= 3000
    text = (tmp_path / "log").read_text()
    assert "\0" not in text
    assert text.split()[-10:] == [str(number) for number in range(90, 100)]
    group.stop()


def service(tmp_path: Path, code: str, *, relay: bool = False) -> Service:
    folder = tmp_path / "service"
    folder.mkdir()
    return Service("The thing", [sys.executable, "-c", code], folder, os.environ, relay=relay)


def one_sentence(error: pytest.ExceptionInfo[LaunchError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_service_is_told_with_its_signal_and_a_log_that_stays(tmp_path: Path, number: signal.Signals) -> None:
    with service(tmp_path, "import time; print('the reason', flush=True); time.sleep(600)") as running:
        while "the reason" not in running.log():
            running.require_running()
        os.kill(running.pid, number)
        running._group._process.wait()
        with pytest.raises(LaunchError) as caught:
            running.require_running()
    text = one_sentence(caught)
    assert text.startswith(f"The thing was ended by {number.name} ({int(number)})")
    assert ("out-of-memory killer" in text) == (number == signal.SIGKILL)
    assert not (tmp_path / "service").exists()
    named = re.search(r"; its log is (\S+\.log)\.$", text)
    assert named is not None
    log = Path(named[1])
    assert log.read_text() == "the reason\n"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exit status 0"),
        (3, "exit status 3"),
        (137, r"exit status 137, which stands for SIGKILL \(9\), often"),
        (143, "exit status 143, which stands for SIGTERM"),
    ],
)
def test_a_service_that_ends_is_told_with_its_status(tmp_path: Path, status: int, words: str) -> None:
    with (
        service(tmp_path, f"import sys; sys.exit({status})") as running,
        pytest.raises(LaunchError, match=f"The thing ended with {words}") as caught,
    ):
        running.wait_until(lambda: False, 60)
    one_sentence(caught)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a\nCaused by: java.net.BindException: Address already in use\n\tat Main.main",
            "java.net.BindException: Addr",
        ),
        ("ValueError: first\nOSError: \x1b[31mlast\n", "OSError: \N{REPLACEMENT CHARACTER}[31mlast"),
        ("Java: Out of memory", "Out of memory"),
        ("12:00 INFO errors: 0, no exception", None),
        ("", None),
    ],
)
def test_the_line_of_a_log_that_tells_of_an_error(text: str, line: str | None) -> None:
    found = kept_logs.last_error(text)
    assert found == line or (found is not None and line is not None and found.startswith(line))


def test_an_error_of_a_service_is_told_and_stays_short(tmp_path: Path) -> None:
    with (
        service(tmp_path, "raise OSError('x' * 1000)") as running,
        pytest.raises(LaunchError, match=r"exit status 1 \(OSError: x+…\); its log is") as caught,
    ):
        running.wait_until(lambda: False, 60)
    assert len(one_sentence(caught)) < 500


def test_kept_logs_are_bounded_in_size_and_number(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"old\n" + b"x" * kept_logs.MOST_BYTES + b"end")
    copies = [kept_logs.keep(log, f"Service {number}") for number in range(kept_logs.MOST_LOGS + 5)]
    assert {path.read_bytes()[-3:] for path in copies[5:]} == {b"end"}
    assert {path.stat().st_size for path in copies[5:]} == {kept_logs.MOST_BYTES}
    assert len(list(kept_logs.folder().glob("*.log"))) == kept_logs.MOST_LOGS
    assert not copies[0].exists()


def test_where_no_log_can_be_kept_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("POINTREND_HOME", str(tmp_path / "file"))
    with service(tmp_path, "pass") as running:
        running._group._process.wait()
        with pytest.raises(LaunchError, match=r"exit status 0; its log could not be kept in .*\(Not a directory\)"):
            running.require_running()


def test_a_relayed_service_points_to_the_output(tmp_path: Path) -> None:
    with service(tmp_path, "pass", relay=True) as running:
        running._group._process.wait()
        with pytest.raises(LaunchError, match="exit status 0; what it wrote is in the output above"):
            running.require_running()
