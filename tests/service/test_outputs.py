"""Every format's body, written and read again."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from pointrend.errors import InvalidOption, ResponseTooLarge, UnsupportedImage
from pointrend.masks.probabilities import encode_probabilities
from pointrend.masks.rle import encode_crop
from pointrend.service.outputs import Reply, refusal, reply, server_timing
from pointrend.structures.options import Options
from pointrend.structures.prediction import Instance, Prediction, Segment
from pointrend.visualize.palettes import colour

SIZE = (30, 40)
PHOTO = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
MODEL = {"name": "m", "version": "1"}


def square(x, y, side):
    return encode_crop(np.ones((side, side), bool), x, y, *SIZE)


def instance(category, score, x, y, side):
    number = {"person": 1, "dining table": 67}[category]
    return Instance(number, category, score, (float(x), float(y), side, side), side * side, square(x, y, side))


FOUND = (
    instance("person", 0.9, 2, 3, 10),
    instance("dining table", 0.8, 8, 8, 12),
    instance("person", 0.7, 25, 5, 6),
    Instance(1, "person", 0.6, (0.0, 0.0, 1.0, 1.0), 0, encode_crop(np.zeros((1, 1), bool), 0, 0, *SIZE)),
)
INSTANCES = Prediction(40, 30, FOUND, MODEL, {"decode": 1.26})
SEMANTIC = Prediction(
    40,
    30,
    (),
    MODEL,
    task="semantic",
    segments=(Segment(67, "dining table", 144, square(8, 8, 12)), Segment(1, "person", 36, square(25, 5, 6))),
)


def ask(prediction, kind, limit=100_000, alpha="soft"):
    return reply(prediction, PHOTO, Options(task=prediction.task, format=kind, alpha=alpha), limit)


def test_json():
    answer = ask(INSTANCES, "json")
    assert (answer.status, answer.phrase, answer.content_type) == (200, "OK", "application/json")
    assert json.loads(answer.body) == INSTANCES.to_dict()


def test_png():
    answer = ask(INSTANCES, "png")
    assert answer.content_type == "image/png"
    with Image.open(io.BytesIO(answer.body)) as drawn:
        assert (drawn.size, drawn.mode) == ((40, 30), "RGB")


def test_uncertainty_is_drawn_where_probabilities_are_undecided():
    values = np.full((10, 10), 255, np.uint8)
    values[:5] = 127
    unsure = replace(FOUND[0], probabilities=encode_probabilities(2, 3, values))
    answer = ask(replace(INSTANCES, instances=(unsure, FOUND[1])), "uncertainty")
    assert answer.content_type == "image/png"
    with Image.open(io.BytesIO(answer.body)) as picture:
        drawn = np.asarray(picture)
    assert (drawn[3:8, 2:12] == (249, 201, 50)).all()  # undecided
    grey = np.ones(SIZE, bool)
    grey[3:8, 2:12] = False
    assert (np.ptp(drawn[grey], axis=1) == 0).all()


@pytest.mark.parametrize("alpha", ["soft", "hard"])
def test_cutouts_are_where_the_manifest_says(alpha):
    answer = ask(INSTANCES, "cutouts", alpha=alpha)
    assert answer.content_type == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["person-1.png", "dining_table-1.png", "person-2.png", "manifest.json"]
        manifest = json.loads(archive.read("manifest.json"))
        for entry, found in zip(manifest["instances"], FOUND, strict=False):
            with Image.open(io.BytesIO(archive.read(entry["file"]))) as picture:
                pixels = np.asarray(picture)
            assert pixels.shape == (entry["height"], entry["width"], 4)
            x, y = entry["x"], entry["y"]
            opaque = pixels[..., 3] == 255
            part = PHOTO[y : y + entry["height"], x : x + entry["width"]]
            assert np.array_equal(pixels[opaque][:, :3], part[opaque])
            assert (pixels[..., 3] >= 128).sum() == found.area
            if alpha == "hard":
                assert np.array_equal(pixels[..., :3], part)
                assert opaque.sum() == found.area
            assert (entry["category"], entry["score"]) == (found.category, found.score)
    assert answer == ask(INSTANCES, "cutouts", alpha=alpha)


def test_label_map_of_instances_numbers_them_by_score():
    answer = ask(INSTANCES, "label_map")
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert picture.mode == "I;16"
        values = np.asarray(picture)
    assert values.shape == SIZE
    assert (values[4, 4], values[9, 9], values[15, 15], values[6, 26], values[0, 0]) == (1, 1, 2, 3, 0)
    assert json.loads(answer.headers["X-PointRend-Legend"]) == {
        "1": "person 1",
        "2": "dining table 1",
        "3": "person 2",
        "4": "person 3",
    }


def test_label_map_of_segments_holds_ids_and_their_colours():
    answer = ask(SEMANTIC, "label_map")
    with Image.open(io.BytesIO(answer.body)) as picture:
        assert picture.mode == "P"
        values = np.asarray(picture)
        assert picture.convert("RGB").getpixel((10, 10)) == colour(67)
        assert picture.convert("RGB").getpixel((0, 0)) == (0, 0, 0)
    assert (values[10, 10], values[6, 26], values[0, 0]) == (67, 1, 0)
    assert json.loads(answer.headers["X-PointRend-Legend"]) == {"67": "dining table", "1": "person"}


@pytest.mark.parametrize("number", [0, 256])
def test_ids_that_eight_bits_cannot_tell_are_refused(number):
    odd = Prediction(40, 30, (), MODEL, task="semantic", segments=(Segment(number, "road", 4, square(0, 0, 2)),))
    with pytest.raises(InvalidOption, match=f"'road' has the id {number}"):
        ask(odd, "label_map")


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("json", "masks=none"), ("png", "smaller image"), ("label_map", "smaller image"), ("cutouts", "max_detections")],
)
def test_an_answer_that_torchserve_could_not_send_is_refused_with_advice(kind, advice):
    whole = len(ask(INSTANCES, kind).body)
    assert ask(INSTANCES, kind, whole).body
    for limit in (10, whole - 1):
        with pytest.raises(ResponseTooLarge, match=advice) as raised:
            ask(INSTANCES, kind, limit)
        assert (raised.value.status, raised.value.code, raised.value.limit) == (413, "response_too_large", limit)


def test_an_error_says_in_its_body_that_it_is_one():
    body = b'{"error":{"code":"unsupported_image","status":415,"message":"No photo.","field":"image"}}'
    assert refusal(UnsupportedImage("No photo.", field="image")) == Reply(body, "application/json", 415)


def test_timing_as_browsers_read_it():
    assert server_timing({"decode": 1.26, "inference": 20.0}) == "decode;dur=1.3, inference;dur=20.0"
