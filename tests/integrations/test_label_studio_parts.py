"""The parts of the backend for Label Studio, without it: configurations, brushes, regions, photos, and the protocol."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from starlette.testclient import TestClient

from gradio_app.examples import by_key
from pointrend.errors import ImageTooLarge, InvalidRequest, RequestError
from pointrend.integrations.label_studio.app import MAX_BYTES, build
from pointrend.integrations.label_studio.backend import MOST_PROJECTS, MOST_TASKS, Backend
from pointrend.integrations.label_studio.brush import decode_brush, encode_brush
from pointrend.integrations.label_studio.labelling import read_labelling
from pointrend.integrations.label_studio.photos import Photos
from pointrend.integrations.label_studio.regions import to_box, to_regions
from pointrend.masks.rle import encode_crop
from pointrend.structures.boxes import BoxPrompt
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction

CATEGORIES = ("person", "traffic light", "car", "truck")
LABELLING = """<View><Image name="image" value="$photo"/>
  <PolygonLabels name="outline" toName="image"><Label value="Traffic_Light"/><Label value="Vehicle"
    predicted_values="car, truck"/><Label value="Ghost"/></PolygonLabels>
  <RectangleLabels name="box" toName="image"><Label value="Person"/></RectangleLabels></View>"""
PHOTO = by_key("coffee").data()
DATA_URL = "data:image/jpeg;base64," + base64.b64encode(PHOTO).decode()


@given(arrays.arrays(np.bool_, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_a_brush_keeps_every_mask(mask: NDArray[np.bool_]) -> None:
    assert np.array_equal(decode_brush(encode_brush(mask), *mask.shape), mask)


def test_long_runs_are_cut_into_pieces() -> None:
    mask = np.zeros((400, 500), np.bool_)
    mask[100:300] = True
    packed = encode_brush(mask)
    assert len(packed) < 60
    assert np.array_equal(decode_brush(packed, 400, 500), mask)


@pytest.mark.parametrize(
    ("packed", "sentence"),
    [
        ([300], "numbers from 0 to 255"),
        (["a"], "numbers from 0 to 255"),
        ([0, 0, 0], "ends in the middle"),
        (encode_brush(np.ones((2, 2), np.bool_)), "holds 16 values, not the 36 of 3x3"),
        (encode_brush(np.ones((3, 3), np.bool_))[:-2], "ends in the middle"),
    ],
)
def test_what_is_no_brush_is_refused(packed: Any, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        decode_brush(packed, 3, 3)


def test_labels_stand_for_categories() -> None:
    found = read_labelling(LABELLING, CATEGORIES)
    assert found.key == "photo"
    outline, box = found.tools
    assert (outline.name, outline.kind, outline.image) == ("outline", "polygonlabels", "image")
    assert outline.labels == {"traffic light": "Traffic_Light", "car": "Vehicle", "truck": "Vehicle"}
    assert outline.others == ("Ghost",)
    assert outline.category("Vehicle") == "car"
    assert outline.category("Ghost") is None
    assert (box.kind, dict(box.labels)) == ("rectanglelabels", {"person": "Person"})
    with pytest.raises(InvalidRequest, match="has no BrushLabels"):
        found.tool("brushlabels")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot be read"),
        ("<View>", "cannot be read"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><View/>", "declares a document type"),
        ("<View>" + " " * 200_000 + "</View>", "more than 200000"),
        ("<View/>", "none of PolygonLabels, BrushLabels, RectangleLabels for an Image"),
        (LABELLING.replace("<Image", "<Text"), "for an Image"),
        (LABELLING.replace("Traffic_Light", "A").replace("car, truck", "b").replace("Person", "C"), "No label"),
        (LABELLING.replace("$photo", "https://example.org/a.jpg"), "not a field of the tasks"),
    ],
)
def test_what_cannot_be_labelled_in_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence) as raised:
        read_labelling(text, CATEGORIES)
    assert raised.value.field == "label_config"


@pytest.mark.parametrize(
    ("value", "box"),
    [
        ({"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}, (10, 20, 30, 40)),
        ({"x": 90, "y": -5, "width": 30, "height": 40}, (90, 0, 10, 35)),
        ({"x": 50, "y": 10, "width": 20, "height": 10, "rotation": 90}, (45, 10, 5, 40)),  # twice as wide as high
        ({"x": 50, "y": 50, "radiusX": 10, "radiusY": 20}, (40, 30, 20, 40)),
        ({"points": [[1, 2], [11, 2], [6, 22]]}, (1, 2, 10, 20)),
    ],
)
def test_what_is_drawn_stands_for_a_box(value: dict[str, Any], box: tuple[float, ...]) -> None:
    region = {"type": "any", "original_width": 200, "original_height": 100, "value": value}
    assert to_box(region) == pytest.approx(box)


@pytest.mark.parametrize(
    "region",
    [
        None,
        {},
        {"value": 3},
        {"value": {"x": 1, "y": 2}},
        {"value": {"points": []}},
        {"value": {"points": [[1, "a"]]}},
        {"value": {"x": 120, "y": 0, "width": 10, "height": 10}},
        {"value": {"x": float("nan"), "y": 0, "width": 10, "height": 10}},
        {"value": {"x": 1, "y": 1, "width": 0, "height": 10}},
    ],
)
def test_what_has_no_inside_is_refused(region: Any) -> None:
    with pytest.raises(InvalidRequest) as raised:
        to_box(region)
    assert raised.value.field == "context"


def square(category: str, x: int, side: int, score: float = 0.9) -> Instance:
    mask = np.ones((side, side), np.bool_)
    return Instance(1, category, score, (x, 0, side, side), side * side, encode_crop(mask, x, 0, 100, 200))


def test_specks_of_a_mask_are_no_regions_of_their_own() -> None:
    mask = np.zeros((100, 200), np.bool_)
    mask[10:60, 20:70] = mask[80:82, 150:152] = mask[70:90, 10:30] = True
    instance = replace(square("car", 0, 1), segmentation=encode_crop(mask, 0, 0, 100, 200))
    tool = read_labelling(LABELLING, CATEGORIES).tools[0]
    regions = to_regions(Prediction(200, 100, (instance, square("person", 0, 5)), {}), tool)
    assert [region["value"]["polygonlabels"] for region in regions] == [["Vehicle"], ["Vehicle"]]
    assert len({region["id"] for region in regions}) == 2
    for region in regions:
        points = np.array(region["value"]["points"])
        assert points.min() >= 0
        assert points.max() <= 100


class Storage:
    """A server of photos on this machine, which notes what it is asked."""

    def __init__(self, answers: dict[str, tuple[int, dict[str, str], bytes]]) -> None:
        self.asked: list[tuple[str, str | None]] = []
        storage = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                storage.asked.append((self.path, self.headers.get("Authorization")))
                status, headers, body = answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def storages() -> Iterator[Callable[..., Storage]]:
    started: list[Storage] = []

    def start(answers: dict[str, tuple[int, dict[str, str], bytes]]) -> Storage:
        started.append(Storage(answers))
        return started[-1]

    yield start
    for each in started:
        each.server.shutdown()
        each.server.server_close()


def test_the_key_goes_to_label_studio_alone(storages: Callable[..., Storage]) -> None:
    other = storages({"/a.jpg": (200, {}, PHOTO)})
    own = storages(
        {"/data/a.jpg": (200, {}, PHOTO), "/tasks/1/resolve/": (303, {"Location": f"{other.url}/a.jpg"}, b"")}
    )
    with Photos(own.url, "secret", [other.url]) as photos:
        assert photos.fetch("/data/a.jpg") == PHOTO
        assert photos.fetch(f"{own.url}/data/a.jpg") == PHOTO
        assert photos.fetch("/tasks/1/resolve/") == PHOTO
        assert photos.fetch(f"{other.url}/a.jpg") == PHOTO
        assert photos.fetch(DATA_URL) == PHOTO
    assert {key for _, key in own.asked} == {"Token secret"}
    assert other.asked == [("/a.jpg", None)] * 2


@pytest.mark.parametrize(
    "place",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/a.jpg",
        "http://user@127.0.0.1/a.jpg",
        "//127.0.0.1:1/a.jpg",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost:{port}/data/a.jpg",  # another name of the same host is another origin
        "https://127.0.0.1:{port}/data/a.jpg",
        "http://[::1]:{port}/data/a.jpg",
        "http://2130706433:{port}/data/a.jpg",
        "http://[not-an-address/a.jpg",
        "/moved",
        "/round",
        "data:image/png,abc",
        "data:image/png;base64,!!!",
        "",
        None,
        7,
        ["/data/a.jpg"],
    ],
)
def test_no_other_place_is_asked(storages: Callable[..., Storage], place: Any) -> None:
    foreign = storages({"/a.jpg": (200, {}, PHOTO)})
    own = storages(
        {
            "/data/a.jpg": (200, {}, PHOTO),
            "/moved": (302, {"Location": f"{foreign.url}/a.jpg"}, b""),
            "/round": (302, {"Location": "/round"}, b""),
        }
    )
    if isinstance(place, str):
        place = place.replace("{port}", own.url.rpartition(":")[2])
    with Photos(own.url, "secret") as photos, pytest.raises(InvalidRequest) as raised:
        photos.fetch(place)
    assert raised.value.field == "image"
    assert foreign.asked == []
    assert not [path for path, _ in own.asked if path.startswith("/data")]


def test_a_photo_that_is_refused_or_too_large_says_so(storages: Callable[..., Storage]) -> None:
    own = storages({"/large": (200, {}, bytes(2000)), "/secret": (401, {}, b""), "/broken": (500, {}, b"")})
    with Photos(own.url, max_bytes=1000) as photos:
        with pytest.raises(ImageTooLarge, match="more than 1000 bytes"):
            photos.fetch("/large")
        with pytest.raises(RequestError, match="set LABEL_STUDIO_API_KEY"):
            photos.fetch("/secret")
        with pytest.raises(RequestError, match="the answer was 500"):
            photos.fetch("/broken")
        with pytest.raises(ImageTooLarge):
            photos.fetch("data:image/png;base64," + "A" * 2000)
    with Photos("http://127.0.0.1:1") as photos, pytest.raises(RequestError, match="cannot be fetched: ConnectError"):
        photos.fetch("/a.jpg")


def find(image: NDArray[np.uint8], options: Options) -> Prediction:
    """A stand-in that finds a car, and in boxes what they say; what is asked is tested elsewhere, with the model."""
    height, width = image.shape[:2]
    mask = np.ones((20, 20), np.bool_)
    boxes = [BoxPrompt(10, 10, 20, 20)] if options.boxes is None else options.boxes
    found = [
        Instance(3, box.category or "car", 0.9, box[:4], 400, encode_crop(mask, 10, 10, height, width)) for box in boxes
    ]
    return Prediction(width, height, tuple(found), {"name": "cars", "version": "2"})


@pytest.fixture
def client() -> Iterator[TestClient]:
    with Photos("http://127.0.0.1:1") as photos:
        backend = Backend(find, {"name": "cars", "version": "2"}, CATEGORIES, photos)
        yield TestClient(build(backend), "http://127.0.0.1:9090", raise_server_exceptions=False)


def asked(*photos: str, **more: Any) -> dict[str, Any]:
    tasks = [{"id": number, "data": {"photo": photo}} for number, photo in enumerate(photos, start=1)]
    return {"tasks": tasks, "project": "1.5", "label_config": LABELLING, **more}


def test_tasks_are_answered_in_order_each_alone(client: TestClient) -> None:
    answer = client.post("/predict", json=asked(DATA_URL, "file:///etc/passwd", DATA_URL)).json()
    assert [len(each["result"]) for each in answer["results"]] == [1, 0, 1]
    (error,) = answer["errors"]
    assert error["task"] == 2
    assert "only http, https and data URLs" in error["message"]


def test_a_sentence_is_in_the_status_line(client: TestClient) -> None:
    answer = client.post("/predict", json=asked("data:,"))
    assert answer.status_code == 400
    assert answer.json()["error"]["field"] == "image"
    assert answer.headers["x-reason"] == answer.json()["error"]["message"]  # where no HTTP is written


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/predict", b"{", 400),
        ("/predict", b"[]", 400),
        ("/predict", b"[" * 100_000, 400),
        ("/predict", json.dumps({"project": "1", "label_config": LABELLING, "tasks": [1]}).encode(), 400),
        ("/predict", json.dumps(asked(*["a"] * (MOST_TASKS + 1))).encode(), 400),
        ("/predict", json.dumps(asked("a", "b", params={"context": {"result": [{}]}})).encode(), 400),
        ("/predict", json.dumps(asked("a") | {"label_config": 3}).encode(), 400),
        ("/predict", b" " * (MAX_BYTES + 1), 413),
        ("/setup", json.dumps({"project": "1", "schema": LABELLING, "extra_params": "{"}).encode(), 400),
        ("/setup", json.dumps({"project": "1", "schema": LABELLING, "extra_params": [1]}).encode(), 400),
        ("/setup", json.dumps({"project": "1", "schema": LABELLING, "extra_params": {"boxes": []}}).encode(), 422),
        ("/setup", json.dumps({"project": "1", "schema": LABELLING, "extra_params": {"shape": "dot"}}).encode(), 422),
        ("/train", b"{}", 501),
        ("/webhook", b'{"action": "START_TRAINING"}', 501),
        ("/nothing", b"{}", 404),
    ],
)
def test_bad_requests_are_refused(client: TestClient, path: str, body: bytes, status: int) -> None:
    assert client.post(path, content=body).status_code == status


def test_what_annotators_do_is_taken(client: TestClient) -> None:
    assert client.get("/health").json() == {"status": "UP", "model_class": "PointRend"}
    assert client.post("/webhook", json={"action": "ANNOTATION_CREATED"}).json() == {}
    assert client.get("/versions").json() == {"versions": ["cars 2"]}
    assert client.post("/setup", json={"project": "1", "schema": LABELLING}).json() == {"model_version": "cars 2"}


def test_settings_of_many_projects_take_no_more_room(client: TestClient) -> None:
    with Photos("http://127.0.0.1:1") as photos:
        backend = Backend(find, {"name": "cars", "version": "2"}, CATEGORIES, photos)
        for number in range(MOST_PROJECTS + 5):
            backend.set_up(str(number), LABELLING, None)
        assert len(backend._projects) == MOST_PROJECTS


def test_pages_of_a_browser_are_not_answered(client: TestClient) -> None:
    for headers in ({"Origin": "https://example.org"}, {"Host": "evil.example.org"}):
        assert client.post("/predict", json=asked(DATA_URL), headers=headers).status_code == 403


def test_a_password_is_asked_for() -> None:
    with Photos("http://127.0.0.1:1") as photos:
        backend = Backend(find, {"name": "cars", "version": "2"}, CATEGORIES, photos)
        client = TestClient(build(backend, "a-password"), "http://backend.example.org")
        for given_password, status in (("a-password", 200), ("another", 401), ("", 401)):
            assert client.get("/versions", auth=("anybody", given_password)).status_code == status
        assert client.get("/versions", headers={"Authorization": "Basic ?"}).status_code == 401
        assert client.get("/health").status_code == 200


def test_a_drawn_box_gives_what_its_label_says(client: TestClient) -> None:
    value = {"x": 10, "y": 10, "width": 30, "height": 30, "rectanglelabels": ["Ghost"]}
    region = {"type": "rectanglelabels", "value": value}
    answer = client.post("/predict", json=asked(DATA_URL, params={"context": {"result": [region]}})).json()
    (drawn,) = answer["results"][0]["result"]
    assert drawn["value"]["polygonlabels"] == ["Ghost"]
    value["rectanglelabels"] = ["Elsewhere"]
    answer = client.post("/predict", json=asked(DATA_URL, params={"context": {"result": [region]}})).json()
    assert answer["results"][0]["result"][0]["value"]["polygonlabels"] == ["Vehicle"]  # the model's own
