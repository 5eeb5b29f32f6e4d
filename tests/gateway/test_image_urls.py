"""Images by URL: which are fetched, over which connection, and what is refused."""

from __future__ import annotations

import ipaddress
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.image_download import ADDRESSES, REDIRECTS, ImageDownloads
from gateway.image_urls import UrlPolicy, is_public
from gateway.open_inference.grpc_messages import MESSAGES
from gateway.open_inference.tensors import pack, unpack
from pointrend.errors import ConfigError, RequestError
from pointrend.serving.gateway_process import Gateway
from pointrend.serving.torchserve import TorchServe
from tests import open_inference_calls
from tests.ports import free_ports

MAX_BYTES = 100_000
PUBLIC = ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111")


class Photos(BaseHTTPRequestHandler):
    """A server of images, which misbehaves by the path."""

    protocol_version = "HTTP/1.1"
    photo = b"an image"
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Host"]))  # type: ignore[attr-defined]
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":
            return self._send(302, b"", Location=rest)
        if kind == "loop":
            return self._send(307, b"", Location="/loop")
        if kind == "status":
            return self._send(int(rest), b"no")
        if kind == "declared":
            self.send_response(200)
            self.send_header("Content-Length", "999999999")
            return self.end_headers()
        if kind == "endless":
            self.send_response(200)
            self.end_headers()
            self.close_connection = True
            return self._pour(rest)
        if kind == "packed":
            return self._send(200, b"x", **{"Content-Encoding": "gzip"})
        return self._send(200, self.photo, **{"Content-Type": "text/html"})

    def _pour(self, how: str) -> None:
        try:
            while True:
                self.wfile.write(bytes(1 if how == "slow" else 10_000))
                self.wfile.flush()
                if how == "slow":
                    time.sleep(0.05)
        except OSError:  # the reader has had enough
            pass

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def photos() -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Photos)
    server.daemon_threads = True
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url: str, setting: str, answers: Callable[[str], Sequence[str]] | None = None, **keywords: Any) -> bytes:
    """The image at a URL by the setting, with names looked up as told."""

    async def resolve(host: str, _port: int) -> Sequence[str]:
        return answers(host) if answers else [host]

    async def run() -> bytes:
        downloads = ImageDownloads(UrlPolicy.read(setting), MAX_BYTES, resolve, **keywords)
        async with downloads.image(url) as image:
            return image

    return anyio.run(run)


def failure(*arguments: Any, **keywords: Any) -> RequestError:
    with pytest.raises(RequestError) as raised:
        fetch(*arguments, **keywords)
    assert raised.value.field == "image_url"
    return raised.value


def test_an_image_is_fetched_by_its_name_from_the_address_that_was_checked(photos: Any) -> None:
    lookups: list[str] = []

    def rebinding(host: str) -> list[str]:
        """The address of the server, and then one where nothing listens."""
        lookups.append(host)
        return ["127.0.0.1" if len(lookups) == 1 else "127.0.0.99"]

    origin = f"http://photos.invalid:{photos.server_port}"  # a name that the system does not know
    assert fetch(f"{origin}/a.png?size=1#part", f"private:{origin}", rebinding) == b"an image"
    assert lookups == ["photos.invalid"]
    assert photos.asked[-1] == ("/a.png?size=1", f"photos.invalid:{photos.server_port}")


@pytest.mark.parametrize("closed", range(ADDRESSES + 1))
def test_the_addresses_of_a_host_are_tried_in_turn(photos: Any, closed: int) -> None:
    addresses = [f"127.0.0.{90 + place}" for place in range(closed)] + ["127.0.0.1"]
    origin = f"http://photos.invalid:{photos.server_port}"
    if closed < ADDRESSES:
        assert fetch(f"{origin}/a.png", f"private:{origin}", lambda _: addresses) == b"an image"
    else:
        assert failure(f"{origin}/a.png", f"private:{origin}", lambda _: addresses).code == "image_url_failed"


def test_a_server_that_answers_is_asked_once(photos: Any) -> None:
    before = len(photos.asked)
    origin = f"http://photos.invalid:{photos.server_port}"
    assert failure(f"{origin}/status/500", f"private:{origin}", lambda _: ["127.0.0.1"] * 2).status == 424
    assert len(photos.asked) == before + 1


def test_proxies_of_the_environment_are_not_used(photos: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_ports(1)[0]}")
    origin = f"http://127.0.0.1:{photos.server_port}"
    assert fetch(f"{origin}/a.png", f"private:{origin}") == b"an image"


def test_nothing_is_fetched_by_default() -> None:
    error = failure("https://photos.example/a.png", "")
    assert (error.status, error.code) == (422, "image_url_refused")
    assert "POINTREND_IMAGE_ORIGINS" in error.message


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/a.png",
        "http://photos.example/a.png",
        "https://photos.example:8443/a.png",
        "https://photos.example.evil.example/a.png",
        "https://photos.example@evil.example/a.png",
        "https://user:secret@photos.example/a.png",
        "https://@photos.example/a.png",
        "https://photos.example\\@evil.example/a.png",
        "https://photos.example%2eevil.example/a.png",
        "https://photos.example%00.evil.example/",
        "https://photos.example./a.png",
        "https://\uff50hotos.example.evil/a.png",
        "https://2130706433/a.png",
        "https://0x7f.1/a.png",
        "https://0177.0.0.1/a.png",
        "https://[::ffff:127.0.0.1]/a.png",
        "https:///a.png",
        "//photos.example/a.png",
        "photos.example/a.png",
        "ftp://photos.example/a.png",
        "file:///etc/passwd",
        "data:image/png;base64,AA==",
        "https://photos.example/a b.png",
        " https://photos.example/a.png",
        "https://photos.example/\r\nHost: x",
        "https://photos.example/" + "a" * 2048,
        "",
    ],
)
def test_other_urls_are_refused_before_anything_is_looked_up(url: str) -> None:
    def never(host: str) -> list[str]:
        raise AssertionError(host)

    error = failure(url, "https://photos.example", never)
    assert (error.status, error.code) == (422, "image_url_refused")
    assert "secret" not in error.message


@given(st.text())
def test_any_text_is_of_the_origin_or_refused(text: str) -> None:
    policy = UrlPolicy.read("https://photos.example")
    for url in (text, f"https://{text}", f"https://photos.example{text}"):
        try:
            checked = policy.check_url(url)
        except RequestError as error:
            refusal = error
        else:
            assert (checked.scheme, checked.raw_host, checked.port) == ("https", b"photos.example", None)
            continue
        assert refusal.code == "image_url_refused"


def test_hosts_are_compared_as_idna_writes_them() -> None:
    policy = UrlPolicy.read("https://xn--bcher-kva.example")
    for url in ("https://bücher.example/a.png", "https://BÜCHER.example/a.png", "https://xn--bcher-kva.example/a.png"):
        assert policy.check_url(url).raw_host == b"xn--bcher-kva.example"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "192.0.0.1",
        "198.18.0.1",
        "192.0.2.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2001:0:1::1",
        "2002:7f00:1::1",
        "fe80::1",
        "fe80::1%1",
        "fec0::1",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "not an address",
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)
    for addresses in ([address], ["93.184.215.14", address], [address, "93.184.215.14"]):
        error = failure("https://photos.example/a.png", "https://photos.example", lambda _: addresses)  # noqa: B023
        assert (error.status, error.code) == (422, "image_url_refused")
        assert address not in error.message


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4).map(str), st.sampled_from(["::", "::ffff:", "64:ff9b::", "::ffff:0:"]))
def test_no_address_hides_in_another(address: str, prefix: str) -> None:
    assert not is_public(prefix + address)
    assert is_public(address) <= ipaddress.ip_address(address).is_global


def test_redirects_are_checked_like_the_first_url(photos: Any) -> None:
    port = photos.server_port
    first, second, public = (f"http://{name}.invalid:{port}" for name in ("first", "second", "public"))
    setting = f"private:{first},private:{second},{public}"

    def local(_host: str) -> list[str]:
        return ["127.0.0.1"]

    assert fetch(f"{first}/to/{second}/a.png", setting, local) == b"an image"
    assert fetch(f"{first}/to//a.png", setting, local) == b"an image"
    for target in (f"http://127.0.0.1:{port}/", f"{public}/a.png", "file:///etc/passwd", "http://user@second.invalid/"):
        before = len(photos.asked)
        error = failure(f"{first}/to/{target}", setting, local)
        assert (error.status, error.code) == (422, "image_url_refused")
        assert len(photos.asked) == before + 1
    before = len(photos.asked)
    assert failure(f"{first}/loop", setting, local).limit == REDIRECTS
    assert len(photos.asked) == before + REDIRECTS + 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/status/404", 424, "image_url_failed"),
        ("/status/500", 424, "image_url_failed"),
        ("/status/204", 424, "image_url_failed"),
        ("/packed", 424, "image_url_failed"),
        ("/declared", 413, "image_too_large"),
        ("/endless/fast", 413, "image_too_large"),
        ("/endless/slow", 424, "image_url_failed"),
    ],
)
def test_what_a_server_may_not_send(photos: Any, path: str, status: int, code: str) -> None:
    origin = f"http://127.0.0.1:{photos.server_port}"
    error = failure(origin + path, f"private:{origin}", seconds=1.0)
    assert (error.status, error.code) == (status, code)
    assert error.limit == {"/endless/slow": 1.0, "/declared": MAX_BYTES, "/endless/fast": MAX_BYTES}.get(path)


def test_a_server_that_is_not_there() -> None:
    origin = f"http://127.0.0.1:{free_ports(1)[0]}"
    assert failure(f"{origin}/a.png", f"private:{origin}").code == "image_url_failed"

    def unknown(_host: str) -> list[str]:
        raise socket.gaierror("no such host")

    assert failure("https://photos.example/", "https://photos.example", unknown).code == "image_url_failed"
    assert failure("https://photos.example/", "https://photos.example", lambda _: []).code == "image_url_failed"


def test_tls_asks_for_the_name_and_not_for_the_address() -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65_536))

        thread = threading.Thread(target=hear)
        thread.start()
        origin = f"https://photos.invalid:{listener.getsockname()[1]}"
        assert failure(f"{origin}/a.png", f"private:{origin}", lambda _: ["127.0.0.1"]).code == "image_url_failed"
        thread.join()
    assert b"photos.invalid" in heard[0]


@pytest.mark.parametrize("setting", ["*", "photos.example", "https://photos.example/", "private:*", "private: x"])
def test_settings_that_are_refused(setting: str) -> None:
    with pytest.raises(ConfigError):
        UrlPolicy.read(setting)
    with pytest.raises(ConfigError, match="twice"):
        UrlPolicy.read("https://a.example,private:https://a.example")


@pytest.fixture
def origin(photos: Any, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> str:
    """That of the photos, which are fetched from there now."""
    made = f"http://127.0.0.1:{photos.server_port}"
    monkeypatch.setattr(Photos, "photo", photo)
    monkeypatch.setenv("POINTREND_IMAGE_ORIGINS", f"private:{made}")
    return made


@pytest.mark.server
def test_the_open_inference_protocol_takes_urls(private_server: TorchServe, origin: str, photo: bytes) -> None:
    rest_port, grpc_port = free_ports(2)
    with Gateway(private_server, rest_port, ["--grpc-port", str(grpc_port)]) as started:
        started.wait_ready()
        urls = [f"{origin}/a.png", f"{origin}/status/404", "file:///etc/passwd", f"{origin}/b.png"]
        asked = {"name": "image_url", "datatype": "BYTES", "shape": [len(urls)], "data": urls}
        by_rest = httpx.post(f"{started.url}/v2/models/pointrend/infer", json={"inputs": [asked]}, timeout=60).json()
        packed = MESSAGES["ModelInferRequest"](
            model_name="pointrend",
            inputs=[{"name": "image_url", "datatype": "BYTES", "shape": [5]}],
            raw_input_contents=[pack([*map(str.encode, urls), b"\xff"])],
        )
        by_grpc = open_inference_calls.call(f"127.0.0.1:{grpc_port}", "ModelInfer", None, packed)
        found = open_inference_calls.instances(f"127.0.0.1:{grpc_port}", None, photo)
        alone = {"inputs": [{**asked, "shape": [1], "data": urls[1:2]}]}
        failed = httpx.post(f"{started.url}/v2/models/pointrend/infer", json=alone, timeout=60)
    prediction, status = (each["data"] for each in by_rest["outputs"])
    assert status == [200, 424, 422, 200]
    assert list(struct.unpack("<5i", by_grpc.raw_output_contents[1])) == [*status, 422]
    assert [json.loads(each)["error"]["code"] for each in prediction[1:3]] == ["image_url_failed", "image_url_refused"]
    for each in (prediction[0], prediction[3], unpack(by_grpc.raw_output_contents[0])[0]):
        assert json.loads(each)["instances"] == found
    assert failed.status_code == 424
    assert "answered with status 404" in failed.json()["error"]


@pytest.mark.server
def test_a_request_names_its_image(private_server: TorchServe, gateway: Gateway, origin: str, photo: bytes) -> None:
    options = {"score_threshold": "0.3", "masks": "polygon"}
    with Gateway(private_server, free_ports(1)[0]) as started, httpx.Client(timeout=60) as client:
        started.wait_ready()
        url = f"{started.url}/predictions/pointrend"
        direct = client.post(url, files={"image": photo}, data=options).json()
        named = {"image_url": f"{origin}/photo.png"}
        for answer in (
            client.post(url, json={**named, **options}),
            client.post(url, files={name: (None, value) for name, value in {**named, **options}.items()}),
            client.post(url, json=named, headers={"X-PointRend-Options": "score_threshold=0.3&masks=polygon"}),
        ):
            assert answer.status_code == 200, answer.text
            assert answer.json()["instances"] == direct["instances"]
        wrong = {
            json.dumps({**named, "image": "AA=="}): (400, "duplicate_image"),
            json.dumps({"image_url": 7}): (400, "invalid_request"),
            json.dumps({**named, "mask": "none"}): (422, "unknown_option"),
            json.dumps({**named, "a\nb": "none"}): (422, "unknown_option"),
            json.dumps({"image_url": "https://other.example/"}): (422, "image_url_refused"),
            json.dumps({"image_url": f"{origin}/status/404"}): (424, "image_url_failed"),
        }
        for body, (status, code) in wrong.items():
            answer = client.post(url, content=body, headers={"Content-Type": "application/json"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        refused = client.post(f"{gateway.url}/predictions/pointrend", json=named)
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "image_url_refused")
