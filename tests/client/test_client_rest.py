"""What the client sends and what it makes of answers, over REST; the blocking and the asynchronous one alike."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pointrend.client import AsyncClient, Client, Retries
from pointrend.errors import ImageTooLarge, InvalidOption, InvalidRequest, RequestError, ServerError, UnsupportedImage
from tests.ports import free_ports

PHOTO = Path(__file__).parent.parent / "demo" / "astronaut.png"
ANSWER = {
    "model": {"name": "m", "version": "1"},
    "image": {"width": 2, "height": 1},
    "task": "instances",
    "instances": [],
    "timing_ms": {},
}
NEVER = Retries(count=0)
AT_ONCE = Retries(count=2, first=0.0)


class Awaited:
    """The asynchronous client behind the blocking one's face, so that each test is of both."""

    def __init__(self, *args, **settings):
        self._make = lambda: AsyncClient(*args, **settings)

    def __getattr__(self, name):
        def call(*args, **options):
            async def run():
                async with self._make() as client:
                    return await getattr(client, name)(*args, **options)

            return asyncio.run(run())

        return call


@pytest.fixture(params=[Client, Awaited], ids=["blocking", "async"])
def client_class(request):
    return request.param


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_the_photo_is_sent_as_it_is_with_its_options_in_a_header(canned, client_class):
    canned.answers((200, ANSWER))
    client = client_class(canned.url, token="secret")
    prediction = client.segment(PHOTO, score_threshold=0.7, categories=["person", 17], exact=True)
    path, headers, body = canned.received[0]
    assert prediction.width == 2
    assert path == "/predictions/pointrend"
    assert body == PHOTO.read_bytes()
    assert headers["X-PointRend-Options"] == "score_threshold=0.7&categories=person%2C17&exact=true&format=json"
    assert headers["Authorization"] == "Bearer secret"


@pytest.mark.parametrize("photo", [np.full((3, 5, 3), 7, np.uint8), Image.new("RGB", (5, 3), (7, 7, 7))])
def test_pixels_are_sent_as_png(canned, client_class, photo):
    canned.answers((200, ANSWER))
    client_class(canned.url).segment(photo)
    sent = Image.open(io.BytesIO(canned.received[0][2]))
    assert (sent.format, sent.size, sent.getpixel((0, 0))) == ("PNG", (5, 3), (7, 7, 7))


def test_what_is_wrong_is_refused_before_anything_is_sent(canned, client_class):
    client = client_class(canned.url)
    with pytest.raises(InvalidOption, match="score_threshold"):
        client.segment(PHOTO, score_threshold=2)
    with pytest.raises(InvalidOption, match="call segment, render"):
        client.segment(PHOTO, format="png")
    with pytest.raises(InvalidRequest, match="0 bytes"):
        client.segment(b"")
    with pytest.raises(TypeError, match="HWC uint8 RGB"):
        client.segment(np.zeros((4, 4), np.uint8))
    with pytest.raises(FileNotFoundError):
        client.segment("no such photo.jpg")
    assert canned.received == []


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_a_url_must_be_one(client_class, url):
    with pytest.raises(ValueError, match="must begin with"):
        client_class(url).ready()


def test_a_token_must_fit_a_header(client_class):
    with pytest.raises(ValueError, match="printable ASCII"):
        client_class(token="two\nlines").ready()


@pytest.mark.parametrize(
    ("status", "body", "error", "code"),
    [
        (415, {"error": {"code": "unsupported_image", "message": "No."}}, UnsupportedImage, "unsupported_image"),
        (413, b"", ImageTooLarge, "request_too_large"),
        (503, {"code": 503, "message": "no worker"}, ServerError, "overloaded"),
        (500, {"code": 500, "message": "Worker died."}, ServerError, "worker_died"),
        (507, {"code": 507, "message": "Worker died."}, ServerError, "worker_died"),
        (500, b"", ServerError, "bad_response"),
        (405, b"", RequestError, "bad_response"),
        (404, {"code": 404, "message": "Model not found: x"}, RequestError, "model_not_found"),
        (400, {"code": 400, "type": "InvalidKeyException", "message": "Token ..."}, InvalidRequest, "invalid_token"),
        (200, b"<html>", ServerError, "bad_response"),
        (200, {"other": 1}, ServerError, "bad_response"),
        (200, [], ServerError, "bad_response"),
    ],
)
def test_every_failure_has_its_place_in_the_tree(canned, client_class, status, body, error, code):
    canned.answers((status, body))
    client = client_class(canned.url, retries=NEVER)
    with pytest.raises(error) as raised:
        client.segment(PHOTO)
    assert raised.value.code == code
    assert raised.value.status == {200: 502, 507: 500}.get(status, status)
    assert raised.value.message.endswith((".", "again.", "x"))
    assert not client.ready()


@pytest.mark.parametrize("method", ["render", "uncertainty", "label_map", "cutouts", "describe"])
def test_each_answer_must_be_of_its_kind(canned, client_class, method):
    canned.answers((200, b"hello"))
    with pytest.raises(ServerError, match="no PointRend server"):
        getattr(client_class(canned.url), method)(*([] if method == "describe" else [PHOTO]))


def test_pictures_maps_cutouts_and_descriptions_are_read(canned, client_class):
    client = client_class(canned.url)
    labels = np.array([[0, 1], [300, 2]], np.uint16)
    canned.answers((200, png(labels)))
    assert client.render(PHOTO) == png(labels)
    read = client.label_map(PHOTO)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, labels)
    file = io.BytesIO()
    person, cat = png(labels), png(labels[:1])
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("person-1.png", person)
        archive.writestr("cat-1.png", cat)
        archive.writestr("manifest.json", b"{}")
    canned.answers((200, file.getvalue()))
    assert client.cutouts(PHOTO) == {"person-1.png": person, "cat-1.png": cat}
    canned.answers((200, {"name": "m"}))
    assert client.describe() == {"name": "m"}
    assert json.loads(canned.received[-1][2]) == {"describe": True}
    formats = [dict(headers).get("X-PointRend-Options") for _, headers, _ in canned.received]
    assert formats == ["format=png", "format=label_map", "format=cutouts", None]


def test_an_overloaded_server_is_asked_again(canned, client_class):
    canned.answers((503, b""), (503, b""), (200, ANSWER))
    assert client_class(canned.url, retries=AT_ONCE).segment(PHOTO).width == 2
    assert len(canned.received) == 3


def test_it_is_not_asked_for_ever(canned, client_class):
    canned.answers((503, b"", {"Retry-After": "0"}))
    with pytest.raises(ServerError, match="overloaded"):
        client_class(canned.url, retries=AT_ONCE).segment(PHOTO)
    assert len(canned.received) == 3


@pytest.mark.parametrize("later", ["3600", "Wed, 01 Jan 2070 00:00:00 GMT"])
def test_a_pause_that_is_too_long_ends_the_retries(canned, client_class, later):
    canned.answers((503, b"", {"Retry-After": later}))
    with pytest.raises(ServerError, match="overloaded"):
        client_class(canned.url).segment(PHOTO)
    assert len(canned.received) == 1


def test_retry_after_that_says_nothing_is_passed_over(canned, client_class):
    canned.answers((503, b"", {"Retry-After": "soon"}), (200, ANSWER))
    assert client_class(canned.url, retries=AT_ONCE).segment(PHOTO).width == 2


def test_what_failed_for_good_is_not_repeated(canned, client_class):
    canned.answers((500, {"code": 500, "message": "Worker died."}))
    with pytest.raises(ServerError):
        client_class(canned.url, retries=AT_ONCE).segment(PHOTO)
    assert len(canned.received) == 1


def test_waits_grow_are_jittered_and_bounded():
    retries = Retries(count=5, first=1.0, longest=4.0)
    for attempt, bound in enumerate([1.0, 2.0, 4.0, 4.0, 4.0]):
        waits = [wait for _ in range(200) if (wait := retries.wait(attempt)) is not None]
        assert len(waits) == 200
        assert 0 <= min(waits) < bound / 4
        assert bound * 3 / 4 < max(waits) <= bound
    assert retries.wait(5) is None
    asked = retries.wait(0, retry_after=2.0)
    assert asked is not None
    assert 2.0 <= asked <= 3.0
    assert retries.wait(0, retry_after=4.5) is None


def test_a_server_that_does_not_answer(canned, client_class):
    canned.answers((None, b""))
    with pytest.raises(ServerError, match=r"did not answer within 0.2 s") as raised:
        client_class(canned.url, timeout=0.2).segment(PHOTO)
    assert (raised.value.code, raised.value.status) == ("timeout", 504)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_a_server_that_is_not_there(client_class, scheme):
    client = client_class(f"{scheme}://127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(ServerError, match="make run") as raised:
        client.segment(PHOTO)
    assert (raised.value.code, raised.value.status) == ("server_down", 503)
    assert not client.ready()


def test_many_photos_come_back_in_order_with_errors_in_their_places(canned, client_class, tmp_path):
    canned.answers((200, ANSWER))
    photos = [PHOTO, b"", tmp_path / "none.jpg", np.zeros((2, 2), np.uint8), PHOTO.read_bytes(), *[PHOTO] * 20]
    results = client_class(canned.url).segment_many(iter(photos), concurrency=3)
    assert [getattr(result, "code", None) for result in results[:5]] == [
        None,
        "missing_image",
        "unreadable_photo",
        "unreadable_photo",
        None,
    ]
    assert "none.jpg" in results[2].message
    assert len(results) == 25
    assert len(canned.received) == 22


def test_no_more_photos_at_once_than_asked_for(canned, client_class):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        client_class(canned.url).segment_many([PHOTO], concurrency=0)


def test_an_option_that_is_wrong_for_all_is_reported_for_each(canned, client_class):
    results = client_class(canned.url).segment_many([PHOTO, PHOTO], refinement=9)
    assert [result.code for result in results] == ["invalid_option", "invalid_option"]


@pytest.mark.parametrize(("library", "url"), [("httpx", "http://127.0.0.1:1"), ("grpc", "grpc://127.0.0.1:1")])
def test_a_missing_library_is_named_with_the_extra_that_brings_it(library, url):
    code = f"import sys; sys.modules[{library!r}] = None\nfrom pointrend.client import Client\nClient({url!r})"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"needs {library}" in run.stderr
    assert "pip install 'pointrend-serve[client]'" in run.stderr


def test_it_imports_neither_torch_nor_what_the_other_transport_needs():
    code = (
        "import sys\nfrom pointrend.client import AsyncClient, Client\nClient()\n"
        "import numpy as np\nimport pointrend\n"
        "pointrend.show(np.zeros((8, 8, 3), np.uint8), pointrend.Prediction(8, 8, (), {}))\n"
        "print({'torch', 'grpc', 'gradio'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"
