"""Requests as TorchServe hands them over: dicts of bytes, and headers in the client's spelling."""

import base64
import json

import pytest

from handler.inputs import read
from pointrend.errors import ImageTooLarge, InvalidOption, InvalidRequest
from pointrend.image import ImageLimits
from pointrend.options import Options

LIMITS = ImageLimits(max_bytes=100)
JSON_BODY = {"body": {"content-type": "application/json"}}


def test_a_raw_body_with_options_in_a_header_of_any_spelling():
    headers = {"x-pointrend-OPTIONS": "score_threshold=0.7&categories=person%2Ccat", "describe": "False"}
    assert read({"body": bytearray(b"photo")}, headers, LIMITS) == (
        b"photo",
        Options(score_threshold=0.7, categories=("person", "cat")),
    )


@pytest.mark.parametrize("part", ["image", "data"])
def test_a_form(part):
    assert read({part: b"photo", "masks": b"none"}, {}, LIMITS) == (b"photo", Options(masks="none"))


def test_json_parsed_by_torchserve_and_json_that_it_left_alone():
    tree = {"image": base64.b64encode(b"photo").decode(), "refinement": 1}
    expected = (b"photo", Options(refinement=1))
    assert read({"body": tree}, JSON_BODY, LIMITS) == expected
    assert read({"body": json.dumps(tree).encode()}, JSON_BODY, LIMITS) == expected
    assert read({"body": tree | {"image": "data:image/png;base64," + tree["image"]}}, JSON_BODY, LIMITS) == expected


def test_the_options_format_wins_over_accept():
    assert read({"body": b"p"}, {"Accept": "image/png, */*"}, LIMITS)[1].format == "png"
    headers = {"accept": "image/png", "X-PointRend-Options": "format=json"}
    assert read({"body": b"p"}, headers, LIMITS)[1].format == "json"


@pytest.mark.parametrize(
    ("data", "headers", "code"),
    [
        ({}, {}, "missing_image"),
        ({"body": b""}, {}, "missing_image"),
        ({"masks": b"none"}, {}, "missing_image"),
        ({"image": b"a", "data": b"b"}, {}, "duplicate_image"),
        ({"body": b"{"}, JSON_BODY, "invalid_json"),
        ({"body": [1]}, JSON_BODY, "invalid_json"),
        ({"body": {"image": 7}}, JSON_BODY, "invalid_base64"),
        ({"body": {"image": "ä"}}, JSON_BODY, "invalid_base64"),
        ({"body": {"image": "abc"}}, JSON_BODY, "invalid_base64"),
        ({"body": b"p"}, {"X-PointRend-Options": "masks"}, "invalid_options_header"),
        ({"body": b"p"}, {"X-PointRend-Options": "masks=rle&masks=none"}, "invalid_options_header"),
        ({"image": b"p", "masks": b"rle"}, {"X-PointRend-Options": "masks=none"}, "duplicate_option"),
        ({"body": b"p"}, {"Content-Encoding": "gzip"}, "unsupported_encoding"),
    ],
)
def test_what_cannot_be_understood_is_400(data, headers, code):
    with pytest.raises(InvalidRequest) as raised:
        read(data, headers, LIMITS)
    assert (raised.value.status, raised.value.code) == (400, code)


def test_base64_is_measured_before_it_is_decoded():
    with pytest.raises(ImageTooLarge, match="101 bytes; at most 100") as raised:
        read({"body": {"image": base64.b64encode(bytes(101)).decode()}}, JSON_BODY, LIMITS)
    assert raised.value.value == 101
    assert read({"body": {"image": base64.b64encode(bytes(100)).decode()}}, JSON_BODY, LIMITS)[0] == bytes(100)


def test_a_field_that_is_no_text():
    with pytest.raises(InvalidOption, match="'masks' is not UTF-8"):
        read({"image": b"p", "masks": b"\xff"}, {}, LIMITS)
