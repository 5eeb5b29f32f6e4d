import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradio_app.model_choice import ASK_EVERY_SECONDS
from gradio_app.servers import (
    DOWN,
    LOADING,
    OVERLOADED,
    READY,
    RESTARTING,
    STALE_SECONDS,
    Server,
    ServerAddressError,
    Servers,
    Watch,
)
from pointrend.errors import RequestError, ServerError
from tests.ports import free_ports


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("http://127.0.0.1:8080", Server("pointrend at 127.0.0.1:8080", "http://127.0.0.1:8080")),
        ("http://h:1/", Server("pointrend at h:1", "http://h:1")),
        ("Demo=http://h:1/predictions/other/", Server("Demo", "http://h:1", "other")),
        ("https://h/x?a=b", Server("pointrend at h", "https://h/x?a=b")),
        ("Remote = grpcs://h:7070", Server("Remote", "grpcs://h:7070")),
    ],
)
def test_servers_are_named_by_label_address_and_model(text, server):
    assert Server.parse(text) == server


@pytest.mark.parametrize("text", ["", "127.0.0.1:8080", "Demo=", "ftp://h", "http://"])
def test_what_is_no_address_is_said(text):
    with pytest.raises(ServerAddressError, match="names no server; write LABEL=URL"):
        Server.parse(text)


def test_labels_are_unique_and_an_unknown_one_is_refused():
    one = Server("One", "http://127.0.0.1:1")
    with pytest.raises(ServerAddressError, match="same label"):
        Servers([one, one])
    with pytest.raises(ServerAddressError, match="at least one"):
        Servers([])
    with pytest.raises(RequestError, match="no model 'Two' here; choose One"):
        Servers([one])["Two"]
    assert Servers([one])[None].server == one


def test_a_server_that_is_not_there_is_down():
    watch = Watch(Server("Nobody", f"http://127.0.0.1:{free_ports(1)[0]}"))
    assert watch.state().kind == DOWN


@pytest.mark.server
def test_a_ready_server_tells_of_its_model_and_is_not_asked_twice(served):
    watch = Watch(Server("Here", served.url))
    state = watch.state()
    assert state.kind == READY
    assert state.about["name"] == "pointrend-demo"
    assert watch.state() is state


@pytest.mark.server
def test_a_server_without_the_model_is_still_loading(served):
    assert Watch(Server("Here", served.url, "other")).state().kind == LOADING


def test_what_refuses_is_loading_before_it_was_ready_and_overloaded_after():
    watch = Watch(Server("Here", "http://127.0.0.1:1"))
    refusal = ServerError("The server is overloaded.", code="overloaded", status=503)
    assert watch._kind(refusal) == LOADING
    watch._was_ready = True
    assert watch._kind(refusal) == OVERLOADED
    assert watch._kind(ServerError("Gone.", code="server_down", status=503)) == DOWN
    assert watch._kind(ServerError("Soon.", code="server_restarting", status=503)) == RESTARTING


UP, GONE, HANGS = "up", "server_restarting", "timeout"


class Asked:
    """A server in place of a watch's client, on a clock of its own; remembers when it answered last."""

    def __init__(self):
        self.now = self.answered = 0.0
        self.mode = UP
        self.going_on = threading.Event()
        self.going_on.set()
        self.asked = threading.Event()
        self.watch = Watch(Server("Here", "http://127.0.0.1:1"), clock=lambda: self.now)
        self.watch._quick = self  # type: ignore[assignment]

    def describe(self):
        self.asked.set()
        assert self.going_on.wait(60)
        if self.mode == HANGS:
            self.now += 5.0
        if self.mode != UP:
            raise ServerError("No.", code=self.mode, status=503)
        self.answered = self.now
        return {"name": "m"}


ASKED = Asked()


@given(st.lists(st.tuples(st.floats(0, 30), st.sampled_from([UP, GONE, HANGS])), max_size=30))
def test_ready_is_never_said_of_a_server_that_answered_long_ago(steps):
    server = ASKED
    server.watch.forget()  # as a new one, which would take long to make
    for seconds, mode in steps:
        server.now += seconds
        server.mode = mode
        if server.watch.state().kind == READY:
            assert server.now - server.answered <= STALE_SECONDS


def test_a_server_that_is_gone_is_seen_at_the_next_tick():
    server = Asked()
    assert server.watch.state().kind == READY
    server.mode = GONE
    server.now += ASK_EVERY_SECONDS
    assert server.watch.state().kind == RESTARTING
    server.mode = HANGS  # it listens again, and its worker is not there yet
    server.now += ASK_EVERY_SECONDS
    assert server.watch.state().kind == RESTARTING
    server.mode = UP
    server.now += ASK_EVERY_SECONDS
    assert server.watch.state().kind == READY


def test_while_a_question_runs_only_what_is_fresh_is_said_to_the_others():
    server = Asked()
    assert server.watch.state().kind == READY
    server.mode = GONE
    with ThreadPoolExecutor(2) as pool:
        server.going_on.clear()
        server.asked.clear()
        server.now += ASK_EVERY_SECONDS
        first = pool.submit(server.watch.state)
        assert server.asked.wait(60)
        assert server.watch.state().kind == READY  # of four seconds ago
        server.now += STALE_SECONDS
        second = pool.submit(server.watch.state)  # waits for the answer to the question that runs
        server.going_on.set()
        assert (first.result(60).kind, second.result(60).kind) == (RESTARTING, RESTARTING)
