"""Whatever answers, a client ends in one of its own errors: within its time and its memory, and without a crash."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time

import grpc
import pytest
from PIL import Image

from pointrend.client import AsyncClient, Client, ResponseLimits, Retries
from pointrend.error_codes import ERROR_CODES
from pointrend.errors import RequestError, ServerError, UnsupportedImage, from_response
from pointrend.plain_text import UNPRINTABLE
from tests.client.hostile_answers import bodies, refusals
from tests.client.hostile_files import MEBIBYTE, png_file
from tests.client.hostile_json import SEMANTIC, UNNAMED, VALID, changed
from tests.client.hostile_servers import HostileRpc, HostileServer
from tests.client.hostile_wires import BAD, wires

PHOTO = png_file(Image.new("RGB", (40, 30)))
CODES = {entry.code for entry in ERROR_CODES}
ONCE = Retries(count=1, first=0.0)
SECONDS = 0.5
LONG_ENOUGH = 30.0  # for a busy machine; what hangs takes for ever


@pytest.fixture
def server():
    hostile_server = HostileServer()
    yield hostile_server
    hostile_server.close()


@pytest.fixture
def rpc_server():
    hostile_server = HostileRpc()
    yield hostile_server
    hostile_server.close()


def ask(client, method, **options):
    return getattr(client, method)(*([] if method == "describe" else [PHOTO]), **options)


def awaited(url, method="segment", **settings):
    async def run():
        async with AsyncClient(url, **settings) as client:
            return await ask(client, method)

    return asyncio.run(run())


def blocking(url, method="segment", **settings):
    with Client(url, **settings) as client:
        return ask(client, method)


def problem(call, codes):
    """What is wrong with how a call ends, or None."""
    started = time.monotonic()
    try:
        result = call()
    except RequestError as error:
        if error.code not in codes or error.code not in CODES or not 400 <= error.status < 600:
            return f"the error {error.code} with status {error.status}"
        if UNPRINTABLE.search(error.message) or len(error.message) > 2000:
            return f"a message that cannot be printed: {error.message!r:.100}"
        took = time.monotonic() - started
        return f"{took:.1f} s" if took > LONG_ENOUGH else None
    except Exception as error:
        return repr(error)
    return f"a result: {result!r:.60}"


def problems(cases):
    found = {name: problem(call, codes) for name, call, codes in cases}
    return {name: each for name, each in found.items() if each is not None}


def test_bodies_over_rest(server):
    def cases(client):
        for each in bodies():
            server.says(200, each.body)
            yield each.name, lambda method=each.method: ask(client, method), (BAD,)

    with Client(server.url) as client:
        assert problems(cases(client)) == {}


def test_bodies_over_grpc(rpc_server):
    def cases(client):
        for each in bodies():
            rpc_server.says(each.body)
            # Over gRPC the body alone tells an error: this one is.
            codes = (BAD, "internal_error") if each.name.startswith("our own error") else (BAD,)
            yield each.name, lambda method=each.method: ask(client, method), codes

    with Client(rpc_server.url) as client:
        assert problems(cases(client)) == {}


@pytest.mark.parametrize("call", [blocking, awaited])
def test_what_http_can_do_wrong(server, call):
    def cases():
        for each in wires():
            server.pieces, server.pause = each.pieces, each.pause
            yield each.name, lambda: call(server.url, token="secret", timeout=SECONDS, retries=ONCE), each.codes

    assert problems(cases()) == {}


def test_errors_of_odd_shapes(server, rpc_server):
    def cases():
        for name, status, body in refusals():
            server.says(status, body)
            rpc_server.says(body)
            codes = ("unsupported_image", BAD, "internal_error")
            yield f"REST: {name}", lambda: ask(rest, "segment"), codes
            yield f"gRPC: {name}", lambda: ask(rpc, "segment"), codes

    with Client(server.url, retries=ONCE) as rest, Client(rpc_server.url, retries=ONCE) as rpc:
        assert problems(cases()) == {}


def test_an_error_keeps_what_makes_sense():
    detail = {
        "code": "unsupported_image",
        "message": "a\x1b[2Jb\nc",
        "field": "image",
        "limit": ["a", {}],
        "value": 1e400,
    }
    error = from_response(415, {"error": detail})
    assert type(error) is UnsupportedImage
    assert (error.message, error.field, error.limit, error.value) == (
        "a\N{REPLACEMENT CHARACTER}[2Jb c",
        "image",
        ["a"],
        None,
    )
    assert type(from_response(415, {"error": []})) is UnsupportedImage


@pytest.mark.parametrize(
    "status",
    [each for each in grpc.StatusCode if each is not grpc.StatusCode.OK],
    ids=lambda status: status.name,
)
@pytest.mark.parametrize("call", [blocking, awaited])
def test_every_status_of_grpc(rpc_server, call, status):
    rpc_server.abort = (status, "\x1b[2J\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 4000)
    assert problem(lambda: call(rpc_server.url, retries=ONCE), CODES) is None


@pytest.mark.parametrize("call", [blocking, awaited])
def test_messages_that_are_none(rpc_server, call):
    for message in (b"\xff" * 50, b"\x0a\x85\x80\x80\x80\x0fabc", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"):
        rpc_server.message = message
        assert problem(lambda: call(rpc_server.url, retries=ONCE), (BAD,)) is None


@pytest.mark.parametrize("call", [blocking, awaited])
def test_a_compressed_message_is_not_unpacked(call):
    server = HostileRpc(grpc.Compression.Gzip)
    try:
        server.says(bytes(64 * MEBIBYTE))
        assert problem(lambda: call(server.url, retries=ONCE), (BAD,)) is None
    finally:
        server.close()


@pytest.mark.parametrize("call", [blocking, awaited])
@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_limits_of_bytes_can_be_changed(server, rpc_server, call, scheme):
    body = json.dumps(VALID).encode()
    server.says(200, body)
    rpc_server.says(body)
    url = server.url if scheme == "http" else rpc_server.url
    assert call(url, limits=ResponseLimits(max_bytes=len(body))).width == 40
    with pytest.raises(ServerError, match=rf"more than max_bytes={len(body) - 100}") as raised:
        call(url, limits=ResponseLimits(max_bytes=len(body) - 100))
    assert (raised.value.code, raised.value.status) == (BAD, 502)


def test_limits_of_pixels_can_be_changed(server):
    server.says(200, json.dumps(VALID).encode())
    assert blocking(server.url, limits=ResponseLimits(max_pixels=1200)).width == 40
    with pytest.raises(ServerError, match=r"image has 40x30 pixels; at most 1199"):
        blocking(server.url, limits=ResponseLimits(max_pixels=1199))


def test_as_many_masks_as_boxes_are_accepted_and_no_other_number(server):
    server.says(200, json.dumps(UNNAMED).encode())
    with Client(server.url) as client:
        (only,) = ask(client, "segment", boxes=[[0, 0, 20, 15]]).instances
        assert only.category is None
        with pytest.raises(ServerError, match="it has 1 instances for 2 boxes") as raised:
            ask(client, "segment", boxes=[[0, 0, 20, 15]] * 2)
    assert raised.value.code == BAD


@pytest.mark.parametrize("call", [blocking, awaited])
def test_a_token_goes_nowhere_else(server, call):
    elsewhere = HostileServer()
    try:
        location = f"HTTP/1.1 307 Moved\r\nLocation: {elsewhere.url}/x\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        server.pieces = lambda: iter([location.encode()])
        with pytest.raises(ServerError, match=rf"redirect to {elsewhere.url}/x, which is not followed"):
            call(server.url, token="secret")
        assert elsewhere.received == []
    finally:
        elsewhere.close()


def test_nothing_is_asked_for_compressed_and_no_cookie_is_kept(server):
    body = json.dumps(VALID).encode()
    head = f"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    server.pieces = lambda: iter([head.encode() + body])
    with Client(server.url) as client:
        ask(client, "segment")
        ask(client, "segment")
    assert len(server.received) == 2
    for request in server.received:
        assert b"accept-encoding: identity" in request.lower()
        assert b"cookie" not in request.lower()


def test_an_answer_to_another_question(server):
    with Client(server.url) as client:
        server.says(200, json.dumps(SEMANTIC).encode())
        assert ask(client, "segment", task="semantic").segments[0].mask().sum() == 300
        with pytest.raises(ServerError, match="task is semantic, but instances was requested"):
            ask(client, "segment")
        server.says(200, json.dumps({**VALID, "instances": VALID["instances"] * 3}).encode())
        assert len(ask(client, "segment", max_detections=3).instances) == 3
        with pytest.raises(ServerError, match="3 instances, but at most 2 were requested"):
            ask(client, "segment", max_detections=2)


def test_the_error_names_the_field(server):
    server.says(200, changed(VALID, "instances", 0, "segmentation", "counts", "0"))
    with pytest.raises(ServerError, match=r"instances\[0\]\.segmentation\.counts cannot be read: The runs"):
        blocking(server.url)


PEAK = """
import json, re, sys
from pointrend.client import Client, Retries
from pointrend.errors import RequestError
url, method = sys.argv[1:]
client = Client(url, timeout=20, retries=Retries(count=0))
import PIL.PngImagePlugin
try:
    getattr(client, method)(*([] if method == "describe" else [open(0, "rb").read()]))
    code = "a result"
except RequestError as error:
    code = error.code
print(json.dumps([code, int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) // 1024]))
"""


def test_bombs_are_not_unpacked(server):
    """A client in a process of its own stays below 300 MiB; it has 60 before anything came."""

    def peak(method):
        run = subprocess.run(
            [sys.executable, "-c", PEAK, server.url, method], input=PHOTO, capture_output=True, check=True
        )
        return json.loads(run.stdout)

    big = (
        "deep lists",
        "megabytes",
        "zigzags",
        "label map: 10,000",
        "label map: a text bomb",
        "many bombs",
        "LZMA",
    )
    endless = (
        "body in gzip",
        "chunks without end",
        "body without length",
        "error without end",
        "headers without end",
    )
    measured = {}
    for body in bodies():
        if any(name in body.name for name in big):
            server.says(200, body.body)
            measured[body.name] = peak(body.method)
    for wire in wires():
        if any(name in wire.name for name in endless):
            server.pieces, server.pause = wire.pieces, wire.pause
            measured[wire.name] = peak("segment")
    assert len(measured) >= len(big) + len(endless)
    assert {name: each for name, each in measured.items() if each[0] == "a result" or each[1] > 300} == {}
