"""Hostile files, each beside a good photo: the one gets its 4xx, the other its answer, and the worker lives."""

import io
import json
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from PIL import Image

from pointrend.errors import RequestError
from pointrend.images.decode import decode
from tests.server.hostile import corpus, text_bomb
from tests.workers import workers_of

RAW = {"Content-Type": "application/octet-stream"}
CORPUS = {each.name: each for each in corpus()}


def photo(width=48, height=32):
    file = io.BytesIO()
    Image.new("RGB", (width, height), (90, 120, 30)).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("name", CORPUS)
def test_decoding_refuses_it_by_its_kind(name):
    with pytest.raises(RequestError) as raised:
        decode(CORPUS[name].data)
    assert (raised.value.status, raised.value.code) == (CORPUS[name].status, CORPUS[name].code)


def test_texts_of_a_png_are_passed_over():
    assert decode(text_bomb()).shape == (4, 4, 3)


@pytest.mark.server
def test_a_good_photo_beside_each_gets_its_answer(served):
    url = f"{served.url}/predictions/pointrend"

    def send(index, data):
        # The first photo of a pair is as wide as its number: its answer cannot be another's.
        if data is None:
            data = photo(32 + index)
        return requests.post(url, data=data, headers=RAW, timeout=120)

    before = _workers(served)
    pairs = [(index, data) for index, each in enumerate(CORPUS.values()) for data in (None, each.data)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda pair: send(*pair), pairs))
    for index, (each, good, bad) in enumerate(zip(CORPUS.values(), answers[0::2], answers[1::2], strict=True)):
        assert good.status_code == 200, each.name
        assert good.json()["image"]["width"] == 32 + index, each.name
        assert bad.status_code == each.status, each.name
        assert bad.json()["error"]["code"] == each.code, each.name
    assert _workers(served) == before


@pytest.mark.server
def test_a_photo_that_is_something_else_too_is_only_a_photo(served):
    """A JPEG may have a zip or a page behind it: its pixels are answered, and nothing of the rest comes back."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("page.html", "<script>alert(1)</script>")
    for tail in (packed.getvalue(), b"<script>alert(1)</script>"):
        for options in ("format=json", "format=png", "format=cutouts&score_threshold=0"):
            answer = requests.post(
                f"{served.url}/predictions/pointrend",
                data=photo() + tail,
                headers=RAW | {"X-PointRend-Options": options},
                timeout=120,
            )
            assert answer.status_code == 200
            assert b"script" not in answer.content
            assert not answer.headers["Content-Type"].startswith("text/")


@pytest.mark.server
@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"image": "' + b"A" * 28_000_000 + b'"}', 413),
        (json.dumps({"image": "AAAA", "x" * 5000: 1}).encode(), 422),
        (json.dumps({"image": "AAAA", "max_detections": 10**400}).encode(), 422),
        (b'{"image": "AAAA", "score_threshold": NaN}', 422),
        (b'{"image": ["AAAA"]}', 400),
        ("\ud800".encode("utf-16", "surrogatepass"), 400),
        (b'{"image": "\\ud800"}', 400),
        (b'{"image": "AAAA", "\\udfff": 1}', 400),
        (b'{"image": "AAAA", "categories": ["person", {"a": "\\ud83d"}]}', 400),
    ],
    ids=[
        "deep",
        "long base64",
        "long name",
        "long number",
        "not a number",
        "list",
        "not utf-8",
        "half a character in the image",
        "in a name",
        "in a value",
    ],
)
def test_hostile_json(served, body, status):
    answer = requests.post(
        f"{served.url}/predictions/pointrend",
        data=body,
        headers={"Content-Type": "application/json"},
        timeout=120,
    )
    assert answer.status_code == status
    assert answer.json()["error"]["status"] == status
    assert len(answer.content) < 5000


@pytest.mark.server
def test_hostile_headers(served):
    url = f"{served.url}/predictions/pointrend"
    for value, status in [("a=%ff%fe", 422), ("=1", 422), ("masks=" + "x" * 5000, 422), ("&&&", 400), ("%", 400)]:
        answer = requests.post(url, data=photo(), headers=RAW | {"X-PointRend-Options": value}, timeout=60)
        assert answer.status_code == status, value
        assert len(answer.content) < 2000
    odd = requests.post(url, data=photo(), headers=RAW | {"X-Request-Id": "a b<script>"}, timeout=60)
    assert odd.status_code == 200
    assert "X-Client-Request-Id" not in odd.headers


def _workers(served):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = {process.pid for process in workers_of(served)}
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError("no worker came back")
