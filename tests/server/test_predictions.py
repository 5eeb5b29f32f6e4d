"""The served model, asked as people ask it: a real TorchServe with the archive of the demo model."""

from __future__ import annotations

import base64
import io
import json
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from struct import pack

import numpy as np
import pytest
import requests
from PIL import Image
from pycocotools import mask as coco_mask

from pointrend.client import Client
from pointrend.weights.folder import ModelFolder
from tests.workers import wait_for_answer, workers_of

pytestmark = pytest.mark.server

PHOTO = (Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes()
OPENAPI = Path(__file__).parents[2] / "docs" / "openapi.json"
RAW = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def ask(served):
    """POST to the model; answers status and body (parsed where it is JSON)."""

    def post(**request):
        response = requests.post(f"{served.url}/predictions/pointrend", timeout=120, **request)
        is_json = response.headers.get("Content-Type", "").startswith("application/json")
        return response.status_code, response.json() if is_json else response.content

    return post


def picture(mode="RGB", size=(64, 48), kind="PNG", **saved):
    file = io.BytesIO()
    Image.new(mode, size).save(file, kind, **saved)
    return file.getvalue()


def bomb():
    """A PNG whose header announces 30,000 x 30,000 pixels; 1 KB."""

    def chunk(name, body):
        return pack(">I", len(body)) + name + body + pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def test_the_answer_is_in_cocos_words(ask):
    status, answer = ask(data=PHOTO, headers=RAW)

    assert status == 200
    assert answer["image"] == {"width": 512, "height": 512}
    assert answer["model"] == {"name": "pointrend-demo", "version": ModelFolder.open("demo").info.version}
    assert set(answer["timing_ms"]) == {"decode", "inference", "encode"}
    scores = [instance["score"] for instance in answer["instances"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 0.5
    first = answer["instances"][0]
    assert (first["category"], first["category_id"]) == ("person", 1)
    assert coco_mask.area(first["segmentation"]) == first["area"]
    x, y, width, height = coco_mask.toBbox(first["segmentation"])
    box_x, box_y, box_width, box_height = first["bbox"]
    assert x >= np.floor(box_x)
    assert y >= np.floor(box_y)
    assert x + width <= np.ceil(box_x + box_width)
    assert y + height <= np.ceil(box_y + box_height)


def test_the_three_forms_of_a_request_are_equal(ask):
    options = {"score_threshold": "0.01", "max_detections": "4"}
    answers = [
        ask(data=PHOTO, headers=RAW | {"x-pointrend-options": "score_threshold=0.01&max_detections=4"}),
        ask(files={"image": PHOTO}, data=options),
        ask(json={"image": base64.b64encode(PHOTO).decode(), "score_threshold": 0.01, "max_detections": 4}),
    ]
    assert [status for status, _ in answers] == [200, 200, 200]
    assert len(answers[0][1]["instances"]) == 4
    assert answers[0][1]["instances"] == answers[1][1]["instances"] == answers[2][1]["instances"]


def test_options_choose_what_is_answered(ask):
    _, without = ask(data=PHOTO, headers=RAW | {"X-PointRend-Options": "masks=none"})
    assert "segmentation" not in without["instances"][0]
    assert without["instances"][0]["area"] > 0
    _, horses = ask(data=PHOTO, headers=RAW | {"X-PointRend-Options": "categories=horse,17&score_threshold=0.05"})
    assert {instance["category"] for instance in horses["instances"]} <= {"horse", "cat"}
    _, coarse = ask(data=PHOTO, headers=RAW | {"X-PointRend-Options": "refinement=0&max_detections=1"})
    _, fine = ask(data=PHOTO, headers=RAW | {"X-PointRend-Options": "refinement=4&max_detections=1"})
    overlap = coco_mask.iou([coarse["instances"][0]["segmentation"]], [fine["instances"][0]["segmentation"]], [0])
    assert 0.7 < overlap[0, 0] < 0.999


def test_png_shows_the_photo_with_its_masks(ask):
    status, body = ask(files={"image": PHOTO}, data={"format": "png"})
    assert status == 200
    drawn = Image.open(io.BytesIO(body))
    assert (drawn.format, drawn.size) == ("PNG", (512, 512))
    changed = np.any(np.asarray(drawn) != np.asarray(Image.open(io.BytesIO(PHOTO)).convert("RGB")), axis=2)
    assert 0.3 < changed.mean() < 1


def test_exif_orientation_is_applied(ask):
    exif = Image.Exif()
    exif[0x0112] = 6
    status, answer = ask(data=picture(size=(80, 40), kind="JPEG", exif=exif), headers=RAW)
    assert status == 200
    assert answer["image"] == {"width": 40, "height": 80}


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "I;16", "1"])
def test_every_kind_of_png_is_read(ask, mode):
    status, answer = ask(data=picture(mode), headers=RAW)
    assert status == 200
    assert answer["image"] == {"width": 64, "height": 48}


def test_cmyk_is_read(ask):
    assert ask(data=picture("CMYK", kind="JPEG"), headers=RAW)[0] == 200


BAD = {
    "text": ({"data": b"no photo", "headers": RAW}, 415, "unsupported_image"),
    "cut short": ({"data": PHOTO[:5000], "headers": RAW}, 415, "unsupported_image"),
    "bomb": ({"data": bomb(), "headers": RAW}, 413, "image_too_large"),
    "too many bytes": ({"data": bytes(21 * 2**20), "headers": RAW}, 413, "image_too_large"),
    "empty body": ({"data": b"", "headers": RAW}, 400, "missing_image"),
    "no image part": ({"files": {"photo": PHOTO}}, 400, "missing_image"),
    "broken JSON": ({"data": b"{", "headers": {"Content-Type": "application/json"}}, 400, "invalid_json"),
    "broken base64": ({"json": {"image": "???"}}, 400, "invalid_base64"),
    "unknown option": ({"files": {"image": PHOTO}, "data": {"score_treshold": "1"}}, 422, "unknown_option"),
    "out of range": ({"files": {"image": PHOTO}, "data": {"score_threshold": "7"}}, 422, "invalid_option"),
    "unknown category": ({"files": {"image": PHOTO}, "data": {"categories": "hors"}}, 422, "unknown_category"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_refused_by_name(ask, kind):
    request, status, code = BAD[kind]
    answered, body = ask(**request)
    assert answered == status
    assert body["error"]["code"] == code
    assert body["error"]["message"].endswith(".")


def test_an_unknown_option_is_answered_with_the_nearest(ask):
    _, body = ask(files={"image": PHOTO}, data={"score_treshold": "1"})
    assert "Did you mean 'score_threshold'?" in body["error"]["message"]


def test_bad_items_leave_the_good_ones_of_their_batch_alone(ask):
    """Sent at once, they share batches: each answer must belong to its own request."""
    bad = list(BAD.values())
    requests_sent = [
        bad[index // 2] if index % 2 else ({"data": PHOTO, "headers": RAW}, 200, None) for index in range(16)
    ]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda sent: ask(**sent[0]), requests_sent))
    for (_, status, code), (answered, body) in zip(requests_sent, answers, strict=True):
        assert answered == status
        if code is None:
            assert body["instances"][0]["category"] == "person"
        else:
            assert body["error"]["code"] == code


def test_a_request_over_torchserves_own_limit_is_413(ask, served):
    status, _ = ask(data=bytes(29 * 2**20), headers=RAW)
    assert status == 413


def test_a_worker_that_is_killed_amid_a_request_is_told_as_documented(ask, served):
    [worker] = workers_of(served)
    worker.suspend()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, data=PHOTO, headers=RAW)
        time.sleep(1)  # by now the request is with the worker
        worker.kill()
        status, body = asked.result()
    assert (status, body["message"]) == (507, "Worker died.")
    responses = json.loads(OPENAPI.read_text())["paths"]["/predictions/pointrend"]["post"]["responses"]
    assert "worker_died" in responses[str(status)]["description"]
    wait_for_answer(served)
    assert Client(served.url).segment(PHOTO).instances[0].category == "person"


def test_a_killed_worker_comes_back(served):
    [worker] = workers_of(served)
    worker.kill()
    wait_for_answer(served)
    assert Client(served.url).segment(PHOTO).instances[0].category == "person"


def test_models_cannot_be_registered_while_it_runs(served):
    response = requests.post(f"{served.management_url}/models?url=other.mar", timeout=30)
    assert response.status_code == 405
