import os
import socket
import sys

import psutil
import pytest

from pointrend.processes import LaunchError, ProcessGroup, free_ports, require_free_port


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
