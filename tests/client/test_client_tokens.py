"""Tokens as files tell them, without a server: the conversation is driven step by step."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pointrend.client import AsyncClient, Client, Retries
from pointrend.client.messages import Answer, Renew, Send, Wait
from pointrend.client.request_flow import RequestFlow
from pointrend.client.tokens import (
    MAX_FILE_BYTES,
    FixedToken,
    KeyFile,
    find_key_file,
    management_beside,
    tokens_for,
)
from pointrend.errors import InvalidRequest
from pointrend.system.environment import KEY_FILE

PHOTO = Path(__file__).parent.parent / "demo" / "astronaut.png"
REFUSED = Answer(400, said="Token Authorization failed.")
RESULT = Answer(
    200,
    b'{"model":{},"image":{"width":2,"height":1},"task":"instances","instances":[],"timing_ms":{}}',
)


def write_keys(path, inference, seconds=3600.0):
    expires = (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    path.write_text(
        json.dumps(
            {
                "management": {"key": "m", "expiration time": expires},
                "inference": {"key": inference, "expiration time": expires},
                "API": {"key": "api"},
            }
        )
    )


@pytest.fixture
def key_file(tmp_path):
    path = tmp_path / "key_file.json"
    write_keys(path, "first")
    return path


def flow_of(tokens):
    return RequestFlow(tokens, Retries()).segment(PHOTO, {})


def after_waits(flow, step):
    while isinstance(step, Wait):
        step = flow.send(None)
    return step


def test_a_token_that_somebody_else_renewed_is_read_again(key_file):
    flow = flow_of(KeyFile(key_file, "http://127.0.0.1:8080"))
    assert next(flow).token == "first"
    write_keys(key_file, "second")
    step = after_waits(flow, flow.send(REFUSED))
    assert isinstance(step, Send)
    assert step.token == "second"
    with pytest.raises(StopIteration) as end:
        flow.send(RESULT)
    assert end.value.value.width == 2


@pytest.mark.parametrize("meanwhile", ["as before", "half written"])
def test_a_renewed_token_is_waited_for_that_is_not_in_the_file_yet(key_file, meanwhile):
    """TorchServe refuses the old one from before it begins to write the file."""
    flow = flow_of(KeyFile(key_file, "http://127.0.0.1:8080"))
    assert next(flow).token == "first"
    if meanwhile == "half written":
        key_file.write_text(key_file.read_text()[:50])
    assert flow.send(REFUSED) == Wait(0.0)
    assert isinstance(flow.send(None), Wait)
    write_keys(key_file, "second")
    assert flow.send(None).token == "second"


def test_a_token_that_stays_refused_is_not_sent_for_ever(key_file):
    flow = flow_of(KeyFile(key_file, "http://127.0.0.1:8080"))
    assert next(flow).token == "first"
    with pytest.raises(InvalidRequest, match="refuses the token"):
        after_waits(flow, flow.send(REFUSED))


@pytest.mark.parametrize("seconds", [-3600, 0, 20])
def test_it_is_renewed_when_it_is_about_to_expire(key_file, seconds):
    write_keys(key_file, "old", seconds)
    tokens = KeyFile(key_file, "http://127.0.0.1:9080")
    flow, other = flow_of(tokens), flow_of(tokens)
    assert next(flow) == Renew("http://127.0.0.1:9081/token?type=inference", "api")
    assert next(other).token == "old"  # one renews; a second renewal would end the first one's token
    write_keys(key_file, "new")
    assert flow.send(Answer(200)).token == "new"


def test_a_renewal_that_fails_leaves_the_token_and_the_next_request_tries_again(key_file):
    write_keys(key_file, "old", 10)
    tokens = KeyFile(key_file, "grpc://127.0.0.1:7070", "http://127.0.0.1:1234/")
    for _ in range(2):
        flow = flow_of(tokens)
        assert next(flow) == Renew("http://127.0.0.1:1234/token?type=inference", "api")
        assert flow.send(Answer(503)).token == "old"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"inference": {"key": "k", "expiration time": "soon"}}'])
def test_a_file_that_was_named_must_be_one(tmp_path, content):
    path = tmp_path / "key_file.json"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match="not a TorchServe key file") as raised:
        next(flow_of(KeyFile(path, "http://127.0.0.1:8080")))
    assert raised.value.code == "bad_key_file"


def test_where_the_token_comes_from(key_file, monkeypatch):
    monkeypatch.delenv(KEY_FILE.name, raising=False)
    here, elsewhere = "http://localhost:8080", "https://example.org"
    assert isinstance(tokens_for(here, None, None, None), KeyFile)
    assert isinstance(tokens_for(elsewhere, None, None, None), FixedToken)
    assert isinstance(tokens_for(elsewhere, None, key_file, None), KeyFile)
    assert isinstance(tokens_for(here, "given", key_file, None), FixedToken)
    monkeypatch.setenv(KEY_FILE.name, str(key_file))
    assert next(flow_of(tokens_for(elsewhere, None, None, None))).token == "first"


def test_the_newest_server_at_the_port_counts(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for age, (name, inference, rpc) in enumerate(
        [("a", 8080, 7070), ("b", 8080, 7070), ("c", 9080, 9070), ("no-settings", None, None)]
    ):
        folder = tmp_path / f"pointrend-{name}"
        folder.mkdir()
        write_keys(folder / "key_file.json", name)
        os.utime(folder / "key_file.json", (1000 - age, 1000 - age))
        if inference:
            (folder / "config.properties").write_text(
                f"# inference_address=http://127.0.0.1:1\ninference_address=http://127.0.0.1:{inference}\n"
                f"grpc_inference_port={rpc}\nmanagement_address=http://127.0.0.1:{inference + 5}\n"
            )
    assert find_key_file("http://127.0.0.1:8080").parent.name == "pointrend-a"
    assert find_key_file("grpc://127.0.0.1").parent.name == "pointrend-a"
    assert find_key_file("grpc://127.0.0.1:9070").parent.name == "pointrend-c"
    assert find_key_file("http://127.0.0.1:5000") is None
    write_keys(tmp_path / "pointrend-c" / "key_file.json", "c", 5)
    step = next(flow_of(tokens_for("http://127.0.0.1:9080", None, None, None)))
    assert step == Renew("http://127.0.0.1:9085/token?type=inference", "api")


def test_a_file_of_another_user_is_not_trusted(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / "pointrend-x"
    folder.mkdir()
    write_keys(folder / "key_file.json", "x")
    (folder / "config.properties").write_text("inference_address=http://127.0.0.1:8080\n")
    assert find_key_file("http://127.0.0.1:8080") is not None
    monkeypatch.setattr("os.getuid", lambda: folder.stat().st_uid + 1)
    assert find_key_file("http://127.0.0.1:8080") is None


@pytest.mark.parametrize(
    ("url", "management"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8081"),
        ("grpc://localhost", "http://localhost:8081"),
        ("grpc://localhost:7170", "http://localhost:8181"),
    ],
)
def test_management_listens_beside(url, management):
    assert management_beside(url) == management


KEYS = {
    "inference": {"key": "k", "expiration time": "2050-01-01T00:00:00Z"},
    "API": {"key": "a"},
}


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        json.dumps(KEYS) + " " * MAX_FILE_BYTES,
        json.dumps({**KEYS, "inference": {**KEYS["inference"], "key": 5}}),
        json.dumps({**KEYS, "inference": {**KEYS["inference"], "key": "a\r\nHost: b"}}),
        json.dumps({**KEYS, "inference": {**KEYS["inference"], "key": "\u0660"}}),
        json.dumps({**KEYS, "API": {"key": None}}),
        json.dumps({**KEYS, "inference": {"key": "k", "expiration time": 5}}),
        json.dumps({**KEYS, "inference": {"key": "k", "expiration time": "0001-01-01T00:00:00"}}),
        json.dumps({**KEYS, "inference": []}),
        b"\xff\xfe{}",
    ],
    ids=["deep", "huge", "number", "header", "digits", "null", "time", "early", "list", "encoding"],
)
def test_a_key_file_that_means_harm_is_refused(tmp_path, content):
    path = tmp_path / "key_file.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidRequest, match="not a TorchServe key file") as raised:
        next(flow_of(KeyFile(path, "http://127.0.0.1:8080")))
    assert raised.value.code == "bad_key_file"


def test_a_key_file_that_is_a_fifo_does_not_hold_up(tmp_path):
    os.mkfifo(tmp_path / "key_file.json")
    for path in (tmp_path / "key_file.json", tmp_path, Path("/dev/zero")):
        with pytest.raises(InvalidRequest, match="not a TorchServe key file"):
            next(flow_of(KeyFile(path, "http://127.0.0.1:8080")))


def test_what_others_leave_among_the_temporary_files_does_no_harm(tmp_path, monkeypatch):
    """Anybody may make a folder there that is called like a server's."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("fifo", "port", "bytes", "good"):
        (tmp_path / f"pointrend-{name}").mkdir()
        write_keys(tmp_path / f"pointrend-{name}" / "key_file.json", name)
    os.mkfifo(tmp_path / "pointrend-fifo" / "config.properties")
    (tmp_path / "pointrend-port" / "config.properties").write_text("inference_address=http://[::1:x\n")
    (tmp_path / "pointrend-bytes" / "config.properties").write_bytes(b"inference_address=\xff\n")
    (tmp_path / "pointrend-good" / "config.properties").write_text("inference_address=http://127.0.0.1:8080\n")
    assert find_key_file("http://127.0.0.1:8080").parent.name == "pointrend-good"


@pytest.mark.parametrize("url", ["http://[", "file:///etc/passwd", "http://127.0.0.1:99999", "", "http://127.0.0.1:1"])
@pytest.mark.parametrize("client_class", [Client, AsyncClient])
def test_a_renewal_that_leads_nowhere_leaves_the_token(canned, tmp_path, client_class, url):
    path = tmp_path / "key_file.json"
    write_keys(path, "old", 5)
    (tmp_path / "config.properties").write_text(f"management_address={url or 'x'}\n")
    canned.answers((200, RESULT.body))

    async def awaited():
        async with AsyncClient(canned.url, key_file=path) as client:
            return await client.segment(PHOTO)

    answer = asyncio.run(awaited()) if client_class is AsyncClient else Client(canned.url, key_file=path).segment(PHOTO)
    assert answer.width == 2
    assert canned.received[0][1]["Authorization"] == "Bearer old"
