import pytest

from gradio_app.servers import DOWN, LOADING, OVERLOADED, READY, Server, ServerAddressError, Servers, Watch
from pointrend.errors import RequestError, ServerError
from pointrend.system.processes import free_ports


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
