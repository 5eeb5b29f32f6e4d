"""Every task, format and option of the contract, in every form of a request, on TorchServe and on the ASGI server."""

import base64
import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import jsonschema
import numpy as np
import pytest
import requests
from PIL import Image

from pointrend.structures.prediction import Prediction

pytestmark = pytest.mark.server

PHOTO = (Path(__file__).parents[1] / "demo" / "astronaut.png").read_bytes()
SIZE = (512, 512)
OPENAPI = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
ALL = {"score_threshold": 0.1, "categories": "all"}


@pytest.fixture
def ask(either):
    """Ask with options, in one of the three forms; answers the response."""

    def post(form="header", photo=PHOTO, headers=None, **options):
        url = f"{either.url}/predictions/pointrend"
        headers = headers or {}
        if form == "header":
            headers |= {"Content-Type": "application/octet-stream", "X-PointRend-Options": urlencode(options)}
            return requests.post(url, data=photo, headers=headers, timeout=120)
        if form == "form":
            return requests.post(url, files={"image": photo}, data=options, headers=headers, timeout=120)
        tree = {"image": base64.b64encode(photo).decode(), **options}
        return requests.post(url, json=tree, headers=headers, timeout=120)

    return post


@pytest.fixture(scope="module")
def found(either):
    """What is on the photo, at a low threshold."""
    response = requests.post(
        f"{either.url}/predictions/pointrend", files={"image": PHOTO}, data=ALL, timeout=120
    ).json()
    prediction = Prediction.from_dict(response)
    assert len(prediction.instances) >= 3
    return prediction


def fits(answer, name):
    """Whether an answer is what docs/openapi.json calls by that name."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": OPENAPI["components"]}
    jsonschema.validate(answer, schema, cls=jsonschema.Draft202012Validator)
    return True


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "InstancesPrediction"),
        ({"masks": "polygon"}, "InstancesPrediction"),
        ({"masks": "none"}, "InstancesPrediction"),
        ({"points": "true"}, "InstancesPrediction"),
        ({"task": "detection"}, "DetectionPrediction"),
        ({"task": "semantic"}, "SemanticPrediction"),
        ({"task": "semantic", "masks": "none"}, "SemanticPrediction"),
        ({"masks": "svg"}, "Error"),
    ],
)
def test_answers_are_as_the_openapi_file_says(ask, options, name):
    assert fits(ask(**ALL, **options).json(), name)


@pytest.mark.parametrize("form", ["header", "form", "json"])
def test_every_option_in_every_form(ask, form):
    options = {
        "task": "instances",
        "score_threshold": 0.01,
        "max_detections": 3,
        "categories": "all",
        "masks": "polygon",
        "refinement": 2,
        "exact": "true",
        "mask_head": "point",
        "zoom": "false",
        "points": "true",
        "alpha": "soft",
        "format": "json",
    }
    assert {*options, "boxes", "tiles", "budget_ms"} == set(OPENAPI["components"]["schemas"]["Options"]["properties"])
    response = ask(form, **options)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer["task"] == "instances"
    assert len(answer["instances"]) == 3
    for instance in answer["instances"]:
        assert all(len(ring) >= 6 for ring in instance["segmentation"])


@pytest.mark.parametrize("form", ["header", "form", "json"])
def test_boxes_are_answered_in_their_order_in_every_form(ask, found, form):
    given = [found.instances[1], found.instances[0]]
    plain = [list(each.bbox) for each in given]
    answer = ask(form, boxes=plain if form == "json" else json.dumps(plain)).json()
    assert fits(answer, "InstancesPrediction")
    assert [each["category"] for each in answer["instances"]] == [None, None]
    for instance, expected in zip(Prediction.from_dict(answer).instances, given, strict=True):
        assert instance.bbox == pytest.approx(expected.bbox, abs=0.02)
        assert (instance.mask() != expected.mask()).sum() <= 0.01 * expected.area
    named = [each.to_dict() for each in given]
    again = ask(form, boxes=named if form == "json" else json.dumps(named)).json()
    assert [each["category"] for each in again["instances"]] == [each.category for each in given]
    assert ask(form, boxes="10,20,100,200").json()["instances"][0]["bbox"] == [10, 20, 100, 200]


def test_boxes_upright_in_every_format(ask, found):
    """The box is where the object is seen: in the picture as its EXIF orientation turns it."""
    x, y, width, height = found.instances[0].bbox
    turned, exif = Image.open(io.BytesIO(PHOTO)).convert("RGB").transpose(Image.Transpose.ROTATE_90), Image.Exif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    file = io.BytesIO()
    turned.save(file, "PNG", exif=exif)
    box = f"{x},{y},{width},{height}"
    answer = Prediction.from_dict(ask(photo=file.getvalue(), boxes=box).json()).instances[0]
    assert (answer.mask() != found.instances[0].mask()).sum() <= 0.01 * found.instances[0].area
    with zipfile.ZipFile(io.BytesIO(ask(format="cutouts", boxes=box).content)) as archive:
        assert archive.namelist() == ["object-1.png", "manifest.json"]
    legend = ask(format="label_map", boxes=box).headers["X-PointRend-Legend"]
    assert json.loads(legend) == {"1": "object 1"}
    assert ask(format="png", boxes=box).headers["Content-Type"] == "image/png"


def test_polygons_are_the_masks(ask, found):
    polygons = Prediction.from_dict(ask(masks="polygon", **ALL).json())
    for instance, traced in zip(found.instances, polygons.instances, strict=True):
        if instance.area > 400:
            mask, drawn = instance.mask(), traced.mask(SIZE)
            assert (mask & drawn).sum() / (mask | drawn).sum() > 0.9


def test_detection_answers_boxes_alone(ask, found):
    answer = ask(task="detection", **ALL).json()
    assert [item["bbox"] for item in answer["instances"]] == [item.to_dict()["bbox"] for item in found.instances]
    assert all(set(item) == {"category_id", "category", "score", "bbox"} for item in answer["instances"])
    drawn = ask(task="detection", format="png", **ALL)
    assert Image.open(io.BytesIO(drawn.content)).size == SIZE[::-1]


def test_semantic_answers_one_mask_a_category(ask, found):
    expected = np.zeros(SIZE, int)
    for instance in reversed(found.instances):
        expected[instance.mask()] = instance.category_id
    answer = Prediction.from_dict(ask(task="semantic", **ALL).json())
    assert answer.segments
    for segment in answer.segments:
        assert np.array_equal(segment.mask(), expected == segment.category_id)
    response = ask(task="semantic", format="label_map", **ALL)
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.mode == "P"
        assert np.array_equal(np.asarray(picture), expected)
    legend = json.loads(response.headers["X-PointRend-Legend"])
    assert {int(number): name for number, name in legend.items()} == {
        segment.category_id: segment.category for segment in answer.segments
    }
    assert ask(task="semantic", format="png", **ALL).headers["Content-Type"] == "image/png"


def test_label_map_of_instances(ask, found):
    expected = np.zeros(SIZE, int)
    for number, instance in reversed(list(enumerate(found.instances, start=1))):
        expected[instance.mask()] = number
    response = ask(format="label_map", masks="none", **ALL)
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.mode == "I;16"
        assert np.array_equal(np.asarray(picture), expected)
    legend = json.loads(response.headers["X-PointRend-Legend"])
    assert [name.rpartition(" ")[0] for name in legend.values()] == [each.category for each in found.instances]


def test_cutouts(ask, found):
    response = ask("form", format="cutouts", **ALL)
    assert response.headers["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        assert manifest["model"] == found.model
        assert [item["area"] for item in manifest["instances"]] == [each.area for each in found.instances]
        for item in manifest["instances"]:
            with Image.open(io.BytesIO(archive.read(item["file"]))) as picture:
                assert picture.mode == "RGBA"
                assert (np.asarray(picture)[..., 3] >= 128).sum() == item["area"]
    sharp = ask("form", format="cutouts", alpha="hard", **ALL)
    with zipfile.ZipFile(io.BytesIO(sharp.content)) as archive, Image.open(archive.open("person-1.png")) as picture:
        assert set(np.unique(np.asarray(picture)[..., 3])) == {0, 255}


def test_a_coarse_mask_and_an_exact_one(ask, found):
    exact = Prediction.from_dict(ask(exact="true", **ALL).json())
    assert [each.bbox for each in exact.instances] == [each.bbox for each in found.instances]
    coarse = Prediction.from_dict(ask(refinement=0, **ALL).json())
    assert [each.area for each in coarse.instances] != [each.area for each in exact.instances]


@pytest.mark.parametrize("form", ["header", "form", "json"])
def test_a_large_object_is_looked_at_again_in_every_form(ask, form):
    file = io.BytesIO()
    with Image.open(io.BytesIO(PHOTO)) as photo:
        photo.convert("RGB").resize((1024, 1024)).save(file, "JPEG")
    plain, close = (
        ask(form, photo=file.getvalue(), max_detections=1, **each).json() for each in ({}, {"zoom": "true"})
    )
    assert fits(close, "InstancesPrediction")
    (one,), (other,) = (Prediction.from_dict(each).instances for each in (plain, close))
    assert (one.bbox, one.grid, other.bbox, other.grid) == (other.bbox, 224, one.bbox, 896)
    assert 0.9 < (one.mask() & other.mask()).sum() / (one.mask() | other.mask()).sum() < 1


@pytest.mark.parametrize("form", ["header", "form", "json"])
def test_an_object_that_fills_several_tiles_is_one(ask, found, form):
    tiled = Prediction.from_dict(ask(form, tiles=384, **ALL).json())
    (person, *_), (whole, *_) = ([i for i in each.instances if i.category == "person"] for each in (tiled, found))
    ours, theirs = person.mask(), whole.mask()
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"task": "detection", "format": "cutouts"}, "format", "unsupported_combination"),
        ({"task": "detection", "format": "label_map"}, "format", "unsupported_combination"),
        ({"task": "semantic", "format": "cutouts"}, "format", "unsupported_combination"),
        ({"task": "panoptic"}, "task", "invalid_option"),
        ({"exact": "perhaps"}, "exact", "invalid_option"),
        ({"boxes": "[[1, 2, 30, 40], [600, 2, 30, 40]]"}, "boxes[1]", "invalid_option"),
        ({"boxes": "1,2,30,40", "categories": "person"}, "categories", "unsupported_combination"),
        ({"tiles": "10"}, "tiles", "invalid_option"),
        ({"zoom": "true", "mask_head": "conv"}, "zoom", "unsupported_combination"),
        ({"alpha": "hard"}, "alpha", "unsupported_combination"),
        ({"budget_ms": "0"}, "budget_ms", "invalid_option"),
        ({"budget_ms": "50", "task": "semantic"}, "budget_ms", "unsupported_combination"),
        ({"budget_ms": "50", "zoom": "true"}, "zoom", "unsupported_combination"),
        ({"refinment": "1"}, "refinment", "unknown_option"),
    ],
)
@pytest.mark.parametrize("form", ["header", "form", "json"])
def test_what_does_not_work_is_refused_by_name(ask, form, options, field, code):
    response = ask(form, **options)
    error = response.json()["error"]
    assert (response.status_code, error["status"], error["code"], error["field"]) == (422, 422, code, field)


def test_an_answer_that_cannot_be_sent_is_refused_and_the_worker_lives(ask):
    """Noise makes a PNG that is larger than the file it came as."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (4200, 4200, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", quality=40)
    response = ask(photo=file.getvalue(), format="png")
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["limit"]) == (413, "response_too_large", 41_000_000)
    assert "format=json" in error["message"]
    assert ask(photo=file.getvalue(), task="detection").json()["image"] == {"width": 4200, "height": 4200}


def test_accept_asks_for_a_picture_unless_format_says_otherwise(ask):
    accept = {"Accept": "image/png"}
    assert ask(headers=dict(accept)).headers["Content-Type"] == "image/png"
    assert ask(headers=dict(accept), format="json").headers["Content-Type"] == "application/json"


def test_what_the_model_says_of_itself(either):
    url = f"{either.url}/predictions/pointrend"
    described = requests.post(url, json={"describe": True}, timeout=60).json()
    assert fits(described, "Description")
    assert described["name"] == "pointrend-demo"
    assert described["engine"] == "eager"
    assert {"id": 1, "name": "person"} in described["categories"]
    assert set(described["reliable"]) <= {category["name"] for category in described["categories"]}
    assert described["limits"]["max_image_bytes"] == 20971520
    assert described["mask_heads"] == ["point", "conv"]
    assert described["options"]["masks"]["enum"] == ["rle", "polygon", "none", "probability"]
    assert requests.post(url, files={"describe": (None, "true")}, timeout=60).json() == described
    managed = requests.get(f"{either.management_url}/models/pointrend?customized=true", timeout=60).json()
    said = managed[0]["customizedMetadata"]
    assert (json.loads(said) if isinstance(said, str) else said) == described


def test_health_runs_the_model(either):
    answer = requests.post(f"{either.url}/predictions/pointrend", json={"health": True}, timeout=60)
    assert answer.status_code == 200
    assert fits(answer.json(), "Health")
    assert answer.json()["health"] == "ok"
    assert answer.json()["inference_ms"] > 0


def test_many_at_once_keep_every_answer_with_its_request(ask):
    """Sizes, formats, options and bad items at once."""

    def photo(width, height):
        file = io.BytesIO()
        Image.open(io.BytesIO(PHOTO)).resize((width, height)).save(file, "PNG")
        return file.getvalue()

    def size_of(response):
        if response.headers["Content-Type"] == "image/png":
            return Image.open(io.BytesIO(response.content)).size
        image = response.json()["image"]
        return image["width"], image["height"]

    sizes = [(120 + 8 * index, 90 + 4 * index) for index in range(16)]
    options = [
        {"task": "instances"},
        {"format": "png"},
        {"task": "semantic", "format": "label_map"},
        {"task": "detection", "masks": "none"},
    ]
    asked = [(["header", "form", "json"][i % 3], photo(*size), options[i % 4]) for i, size in enumerate(sizes)]
    bad = [("form", b"no photo", {}), ("json", PHOTO, {"task": "x"}), ("header", b"", {}), ("form", PHOTO, {"a": "b"})]
    with ThreadPoolExecutor(12) as pool:  # one at work and job_queue_size waiting is the most it takes
        answers = list(pool.map(lambda one: ask(one[0], one[1], **one[2]), asked + bad))
    assert [size_of(answer) for answer in answers[:16]] == sizes
    assert [answer.status_code for answer in answers[16:]] == [415, 422, 400, 422]
    assert [answer.json()["task"] for answer in answers[:16:4]] == ["instances"] * 4
    assert [answer.json()["task"] for answer in answers[3:16:4]] == ["detection"] * 4
