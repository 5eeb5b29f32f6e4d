import base64
import io
import json

import numpy as np
import pytest
from PIL import Image

from gradio_app.payload import photo_payload, result_payload
from gradio_app.result import SCREEN_SIDE
from gradio_app.view_selection import read_selection
from pointrend.errors import InvalidRequest
from pointrend.masks.decode import full
from tests.gradio_app.test_result import make


def test_the_browser_gets_the_photo_and_every_object_at_its_size():
    result = make(scale=20)  # 4000 x 2000, shown 1280 wide
    payload = json.loads(json.dumps(result_payload(result, "id", ["dog"], with_photo=True)))
    assert (payload["size"], payload["screen"]) == ([4000, 2000], [SCREEN_SIDE, SCREEN_SIDE // 2])
    photo = Image.open(io.BytesIO(base64.b64decode(payload["photo"].partition(",")[2])))
    assert list(photo.size) == payload["screen"]
    assert [each["label"] for each in payload["objects"]] == ["person 1", "dog 1", "person 2"]
    dog = payload["objects"][1]
    assert dog["size"] == [800, 800]
    assert dog["share"] == pytest.approx(0.08)
    assert full(dog["mask"], (640, 1280)).mean() == pytest.approx(0.08, rel=0.01)
    assert np.allclose(dog["bbox"], [120 * 6.4, 20 * 6.4, 40 * 6.4, 40 * 6.4])
    assert payload["reliable"] == ["dog"]


def test_the_photo_is_sent_once():
    result = make()
    assert "photo" not in result_payload(result, "id", [], with_photo=False)
    assert photo_payload("p.png", (100, 200, 3), result.screen)["photo"].startswith("data:image/jpeg;base64,")


SELECTION = {
    "view": "Masks",
    "threshold": 0.5,
    "opacity": 0.5,
    "chosen": None,
    "kept": [0],
    "effect": "blur",
    "colour": "#0a14c8",
}


def test_a_selection_is_read():
    choice = read_selection(SELECTION | {"chosen": 1, "kept": [2, 1]}, b"file")
    assert (choice.chosen, choice.kept, choice.colour, choice.background) == (1, (2, 1), (10, 20, 200), b"file")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("view", "Nothing"),
        ("view", ["Masks"]),
        ("threshold", "0.5"),
        ("threshold", float("nan")),
        ("threshold", 2),
        ("opacity", True),
        ("opacity", None),
        ("chosen", "1"),
        ("chosen", True),
        ("kept", None),
        ("kept", "0"),
        ("kept", [0.5]),
        ("kept", [True]),
        ("kept", [0] * 10_001),
        ("effect", "../../etc"),
        ("effect", {}),
        ("colour", "red"),
        ("colour", "#12345"),
        ("colour", 7),
    ],
)
def test_a_wrong_selection_is_refused_by_its_field(field, value):
    with pytest.raises(InvalidRequest) as caught:
        read_selection(SELECTION | {field: value})
    assert caught.value.field == field


@pytest.mark.parametrize("tree", [None, [], "x", 3])
def test_what_is_no_selection_is_refused(tree):
    with pytest.raises(InvalidRequest, match="selection"):
        read_selection(tree)
