import json

import numpy as np
import pytest

from handler.outputs import Reply, refusal, reply, server_timing
from pointrend.errors import InvalidOption, UnsupportedImage
from pointrend.options import Options
from pointrend.prediction import Prediction

PREDICTION = Prediction(4, 3, (), {"name": "m", "version": "1"}, {"decode": 1.26})
PHOTO = np.zeros((3, 4, 3), np.uint8)


def test_json():
    answer = reply(PREDICTION, PHOTO, Options(), 10_000)
    assert (answer.status, answer.phrase, answer.content_type) == (200, "OK", "application/json")
    assert json.loads(answer.body) == PREDICTION.to_dict()


def test_png():
    answer = reply(PREDICTION, PHOTO, Options(format="png"), 10_000)
    assert answer.content_type == "image/png"
    assert answer.body.startswith(b"\x89PNG")


@pytest.mark.parametrize(("kind", "advice"), [("json", "masks=none"), ("png", "smaller photo")])
def test_an_answer_that_torchserve_could_not_send_is_refused_with_advice(kind, advice):
    with pytest.raises(InvalidOption, match=advice) as raised:
        reply(PREDICTION, PHOTO, Options(format=kind), 10)
    assert (raised.value.code, raised.value.limit) == ("response_too_large", 10)


def test_an_error_says_in_its_body_that_it_is_one():
    assert refusal(UnsupportedImage("No photo.", field="image")) == Reply(
        b'{"error":{"code":"unsupported_image","status":415,"message":"No photo.","field":"image"}}',
        "application/json",
        415,
    )


def test_timing_as_browsers_read_it():
    assert server_timing({"decode": 1.26, "inference": 20.0}) == "decode;dur=1.3, inference;dur=20.0"
