"""TorchServe is killed under ``pointrend up``: what REST, the page and the terminal say, and that all goes on."""

import re
import signal
import time

import httpx
import psutil
import pytest
from playwright.sync_api import expect

from pointrend.serving.page_process import Page as PageProcess
from tests.gradio_app.visits import PATIENCE_MS
from tests.launched import launched, up_command
from tests.ports import free_ports, free_server_port

pytestmark = pytest.mark.server

HEALTH = {"health": True}


def java_of(process):
    """The Java below a command; there is none for a moment where it is being restarted."""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children(recursive=True):
            if child.name() == "java":
                return child
        time.sleep(0.05)
    raise AssertionError("Java was not started again")


def kill_java(process):
    java = java_of(process)
    java.kill()
    java.wait(60)


def test_the_page_and_rest_tell_of_a_restart_and_go_on(browser, tmp_path):
    server_port, (page_port,) = free_server_port(), free_ports(1)
    server, log = f"http://127.0.0.1:{server_port}", tmp_path / "out"
    ports = ("--server-port", str(server_port), "--port", str(page_port))
    command = up_command(tmp_path / "store", *ports, "--engine", "eager")
    with launched(command, log) as process, httpx.Client(timeout=60) as rest:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{page_port}")
        state = page.locator("#server-state")
        expect(state).to_contain_text("Server ready", timeout=PATIENCE_MS)

        kill_java(process)
        refused = rest.post(f"{server}/predictions/pointrend", json=HEALTH)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["error"]["code"] == "server_restarting"
        kill_java(process)  # during the restart, so that the next one waits longer

        expect(state).to_contain_text("Server restarting", timeout=PATIENCE_MS)
        assert rest.get(f"{server}/readyz").json()["error"]["code"] == "server_restarting"
        expect(state).to_contain_text("Server ready", timeout=PATIENCE_MS)
        assert rest.post(f"{server}/predictions/pointrend", json=HEALTH).is_success
        assert rest.get(f"{server}/readyz").status_code == 204

        after = log.read_text().split("Ctrl-C stops it.\n")[1].splitlines()
        assert len(after) == 5, after
        died, restarting, again, restarting_again, ready = after
        for line in (died, again):
            assert re.fullmatch(r"TorchServe was ended by SIGKILL \(9\), often .*; its log is \S+\.log\.", line)
        assert restarting == "Restarting TorchServe in 1 s; at most 5 times in 10 minutes."
        assert restarting_again == "Restarting TorchServe in 2 s; at most 5 times in 10 minutes."
        assert re.fullmatch(r"TorchServe is ready again after \d+ s\.", ready)

        kill_java(process)
        while log.read_text().count("Restarting") < 3:
            time.sleep(0.05)
        java_of(process)
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)  # Ctrl-C during a restart
        assert process.wait(60) == 0, log.read_text()
    # The visitor's page is still open: what it said last is no longer so.
    expect(page.locator("#page-lost")).to_be_visible(timeout=PATIENCE_MS)
    expect(state).to_be_hidden()
    with PageProcess(server, page_port) as again:
        again.wait_ready()
        expect(page.locator("#page-lost")).to_be_hidden(timeout=PATIENCE_MS)
        expect(state).to_contain_text("Server down", timeout=PATIENCE_MS)
    page.close()
    assert log.read_text().splitlines()[-1] == "Stopped."
    assert [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE] == []
