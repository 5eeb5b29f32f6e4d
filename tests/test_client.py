"""The client against a server that fails in every way it may, and against the real one."""

from __future__ import annotations

import http.server
import io
import json
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrend.client import Client
from pointrend.errors import ImageTooLarge, InvalidOption, InvalidRequest, RequestError, ServerError, UnsupportedImage
from pointrend.processes import free_ports

PHOTO = Path(__file__).parent / "demo" / "astronaut.png"
ANSWER = {
    "model": {"name": "m", "version": "1"},
    "image": {"width": 2, "height": 1},
    "task": "instances",
    "instances": [],
    "timing_ms": {},
}


@pytest.fixture
def canned():
    """A server with one answer; ``canned(status, body, type)`` sets it and returns a client and what it received."""
    received = []
    answer = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, dict(self.headers), body))
            answer["hang"].wait(5)
            self.send_response(answer["status"])
            self.send_header("Content-Type", answer["type"])
            self.send_header("Content-Length", str(len(answer["body"])))
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *_):
            """Stay silent."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def prepare(status, body, kind="application/json", *, hang=False, **client):
        event = threading.Event()
        if not hang:
            event.set()
        answer.update(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode(), type=kind)
        answer["hang"] = event
        return Client(f"http://127.0.0.1:{server.server_port}", **client), received

    yield prepare
    answer["hang"].set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_photo_is_sent_as_it_is_with_its_options_in_a_header(canned):
    client, received = canned(200, ANSWER, token="secret")
    prediction = client.segment(PHOTO, score_threshold=0.7, categories=["person", 17])
    path, headers, body = received[0]
    assert prediction.width == 2
    assert path == "/predictions/pointrend"
    assert body == PHOTO.read_bytes()
    assert headers["X-PointRend-Options"] == "score_threshold=0.7&categories=person%2C17&format=json"
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("photo", [np.full((3, 5, 3), 7, np.uint8), Image.new("RGB", (5, 3), (7, 7, 7))])
def test_pixels_are_sent_as_png(canned, photo):
    client, received = canned(200, ANSWER)
    client.segment(photo)
    sent = Image.open(io.BytesIO(received[0][2]))
    assert (sent.format, sent.size, sent.getpixel((0, 0))) == ("PNG", (5, 3), (7, 7, 7))


def test_bad_options_and_empty_photos_are_refused_before_anything_is_sent(canned):
    client, received = canned(200, ANSWER)
    with pytest.raises(InvalidOption, match="score_threshold"):
        client.segment(PHOTO, score_threshold=2)
    with pytest.raises(InvalidRequest, match="0 bytes"):
        client.segment(b"")
    assert received == []


@pytest.mark.parametrize(
    ("status", "body", "kind", "error", "code"),
    [
        (415, {"error": {"code": "unsupported_image", "message": "No."}}, "application/json", UnsupportedImage, None),
        (413, b"", "text/plain", ImageTooLarge, "image_too_large"),
        (503, {"code": 503, "message": "no worker"}, "application/json", ServerError, "overloaded"),
        (500, {"code": 500, "message": "Worker died."}, "application/json", ServerError, "worker_died"),
        (404, {"code": 404, "message": "Model not found"}, "application/json", RequestError, "bad_response"),
        (200, b"<html>", "text/html", ServerError, "bad_response"),
        (200, {"other": 1}, "application/json", ServerError, "bad_response"),
    ],
)
def test_every_failure_has_its_place_in_the_tree(canned, status, body, kind, error, code):
    client, _ = canned(status, body, kind)
    with pytest.raises(error) as raised:
        client.segment(PHOTO)
    assert raised.value.code == (code or body["error"]["code"])
    assert not client.ready()


def test_a_picture_must_be_a_picture(canned):
    client, _ = canned(200, ANSWER)
    with pytest.raises(ServerError, match="no PointRend server"):
        client.render(PHOTO)


def test_a_server_that_does_not_answer(canned):
    client, _ = canned(200, ANSWER, hang=True, timeout=0.2)
    with pytest.raises(ServerError, match=r"did not answer within 0.2 s") as raised:
        client.segment(PHOTO)
    assert (raised.value.code, raised.value.status) == ("timeout", 504)


def test_a_server_that_is_not_there():
    with pytest.raises(ServerError, match="make run") as raised:
        Client(f"http://127.0.0.1:{free_ports(1)[0]}").segment(PHOTO)
    assert (raised.value.code, raised.value.status) == ("server_down", 503)


@pytest.mark.server
def test_the_real_server_answers_the_same_for_a_path_bytes_and_pixels(served):
    client = Client(served.url)
    assert client.ready()
    pixels = Image.open(PHOTO).convert("RGB")
    predictions = [client.segment(photo) for photo in (PHOTO, PHOTO.read_bytes(), pixels, np.asarray(pixels))]
    assert predictions[0].instances[0].mask().shape == (512, 512)
    for prediction in predictions[1:]:
        assert prediction.instances == predictions[0].instances
    assert client.render(PHOTO).startswith(b"\x89PNG")


@pytest.mark.server
def test_the_real_servers_errors_come_back_as_they_were_raised(served):
    with pytest.raises(UnsupportedImage, match="not an image"):
        Client(served.url).segment(b"text")
    with pytest.raises(InvalidOption, match="Did you mean 'horse'") as raised:
        Client(served.url).segment(PHOTO, categories="hors")
    assert raised.value.code == "unknown_category"
    assert "person" in raised.value.limit
