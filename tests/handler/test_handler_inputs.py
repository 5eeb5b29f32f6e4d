"""Requests as TorchServe hands them over: dicts of bytes, and headers in the client's spelling."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.inputs import is_grpc, read
from pointrend.errors import ImageTooLarge, InvalidOption, InvalidRequest, RequestError
from pointrend.images.limits import ImageLimits
from pointrend.service.inputs import Request
from pointrend.service.outputs import refusal
from pointrend.structures.options import Options

LIMITS = ImageLimits(max_bytes=100)
JSON_BODY = {"body": {"content-type": "application/json"}}


def asked(**options):
    return Request("segment", b"photo", Options(**options))


def test_a_raw_body_with_options_in_a_header_of_any_spelling():
    headers = {"x-pointrend-OPTIONS": "score_threshold=0.7&categories=person%2Ccat", "describe": "False"}
    assert read({"body": bytearray(b"photo")}, headers, LIMITS) == asked(
        score_threshold=0.7, categories=("person", "cat")
    )


@pytest.mark.parametrize("part", ["image", "data"])
def test_a_form(part):
    assert read({part: b"photo", "masks": b"none"}, {}, LIMITS) == asked(masks="none")


def test_json_parsed_by_torchserve_and_json_that_it_left_alone():
    tree: dict[str, Any] = {"image": base64.b64encode(b"photo").decode(), "refinement": 1}
    expected = asked(refinement=1)
    assert read({"body": tree}, JSON_BODY, LIMITS) == expected
    assert read({"body": json.dumps(tree).encode()}, JSON_BODY, LIMITS) == expected
    assert read({"body": tree | {"image": "data:image/png;base64," + tree["image"]}}, JSON_BODY, LIMITS) == expected


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json;charset=UTF-8", "application/json ; q=1"])
def test_base64_of_any_alphabet_without_padding_and_types_of_any_case(kind):
    photo = bytes(range(200, 256)) + b"?"
    for text in (
        base64.b64encode(photo).decode().rstrip("="),
        base64.urlsafe_b64encode(photo).decode(),
        base64.urlsafe_b64encode(photo).decode().rstrip("="),
        base64.encodebytes(photo).decode(),
        "DATA:image/png;base64," + base64.b64encode(photo).decode(),
    ):
        assert read({"body": {"image": text}}, {"body": {"content-type": kind}}, LIMITS).image == photo


def test_the_options_format_wins_over_accept():
    assert read({"body": b"p"}, {"Accept": "image/png, */*"}, LIMITS).options.format == "png"
    headers = {"accept": "image/png", "X-PointRend-Options": "format=json"}
    assert read({"body": b"p"}, headers, LIMITS).options.format == "json"


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
        ({"body": {"image": "abcde"}}, JSON_BODY, "invalid_base64"),
        ({"body": b"p"}, {"X-PointRend-Options": "masks"}, "invalid_options_header"),
        ({"body": b"p"}, {"X-PointRend-Options": "masks=rle&masks=none"}, "invalid_options_header"),
        ({"image": b"p", "masks": b"rle"}, {"X-PointRend-Options": "masks=none"}, "duplicate_option"),
        ({"body": {"image": "\ud800"}}, JSON_BODY, "invalid_json"),
        ({"body": {"image": "cA==", "\ud800": 1}}, JSON_BODY, "invalid_json"),
        ({"body": {"image": "cA==", "categories": ["a", "b\udfff"]}}, JSON_BODY, "invalid_json"),
        ({"body": b'{"image": "cA==", "masks": {"a": ["\\ud83d"]}}'}, JSON_BODY, "invalid_json"),
        ({"image": b"p", "masks": {"parsed": "by TorchServe \ud800"}}, {}, "invalid_json"),
        ({"image": {"a": 1}}, {}, "invalid_request"),
        ({"describe": b"true", "health": b"true"}, {}, "invalid_request"),
        ({"body": {"health": False}}, JSON_BODY, "missing_image"),
        ({"describe": b"false"}, {}, "missing_image"),
    ],
)
def test_what_cannot_be_understood_is_400(data, headers, code):
    with pytest.raises(InvalidRequest) as raised:
        read(data, headers, LIMITS)
    assert (raised.value.status, raised.value.code) == (400, code)


def test_a_compressed_body_is_415():
    with pytest.raises(InvalidRequest) as raised:
        read({"body": b"p"}, {"Content-Encoding": "gzip"}, LIMITS)
    assert (raised.value.status, raised.value.code) == (415, "unsupported_encoding")


def test_whole_characters_beyond_the_first_plane_are_no_surrogates():
    with pytest.raises(InvalidOption, match="no option '😀'"):
        read({"body": b'{"image": "cA==", "\\ud83d\\ude00": 1}'}, JSON_BODY, LIMITS)


def test_base64_is_measured_before_it_is_decoded():
    with pytest.raises(ImageTooLarge, match="101 bytes; at most 100") as raised:
        read({"body": {"image": base64.b64encode(bytes(101)).decode()}}, JSON_BODY, LIMITS)
    assert raised.value.value == 101
    assert read({"body": {"image": base64.b64encode(bytes(100)).decode()}}, JSON_BODY, LIMITS).image == bytes(100)


def test_a_field_that_is_no_text():
    with pytest.raises(InvalidOption, match="'masks' is not UTF-8"):
        read({"image": b"p", "masks": b"\xff"}, {}, LIMITS)


@pytest.mark.parametrize("action", ["describe", "health"])
def test_what_needs_no_image(action):
    asked: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({action: b"true"}, {}),
        ({"body": {action: True}}, JSON_BODY),
        ({"body": json.dumps({action: True}).encode()}, JSON_BODY),
    ]
    for data, headers in asked:
        assert read(data, headers, LIMITS) == Request(action)
    with pytest.raises(InvalidOption, match=f"{action} must be true or false"):
        read({action: b"maybe"}, {}, LIMITS)
    with pytest.raises(InvalidOption, match=f"no option '{action}'"):
        read({"image": b"photo", action: b"true"}, {}, LIMITS)


def test_torchserves_own_header_tells_rest_from_grpc():
    assert not is_grpc({"url_path": "", "Host": "localhost"})
    assert is_grpc({"image": {"content-type": ""}})
    assert is_grpc({"url_path": {"content-type": ""}})  # an entry of that name in gRPC's input map


TEXT = st.text(st.characters(exclude_categories=()), max_size=30)  # lone surrogates too
NAMES = st.sampled_from(("image", "data", "body", "masks", "describe", "health", "format")) | TEXT
VALUES = st.binary(max_size=30) | TEXT | st.none() | st.booleans() | st.integers() | st.floats()
HEADER_NAMES = st.sampled_from(("X-PointRend-Options", "Accept", "Content-Encoding", "describe")) | TEXT


@given(st.recursive(TEXT, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)))
def test_json_with_half_a_character_anywhere_is_400(value):
    image = {"image": base64.b64encode(b"photo").decode()}
    half = any("\ud800" <= char <= "\udfff" for char in json.dumps(value, ensure_ascii=False))
    for tree in (image | {"masks": value}, {"image": value}):
        for body in (tree, json.dumps(tree).encode()):
            refused = None
            try:
                read({"body": body}, JSON_BODY, LIMITS)
            except RequestError as error:
                refused = error
                refusal(error).body.decode()
            assert (refused is not None and refused.code == "invalid_json") == half


@given(
    st.dictionaries(
        NAMES, VALUES | st.dictionaries(NAMES, VALUES, max_size=3) | st.lists(VALUES, max_size=3), max_size=4
    ),
    st.dictionaries(HEADER_NAMES, TEXT, max_size=3),
    st.booleans(),
)
def test_whatever_comes_is_read_or_refused(data, headers, is_json):
    request = refused = None
    try:
        request = read(data, headers | (JSON_BODY if is_json else {}), LIMITS)
    except RequestError as error:
        refused = error
    if refused is not None:
        assert 400 <= refused.status < 500
        assert json.loads(refusal(refused).body)["error"]["code"] == refused.code
    else:
        assert request.action in ("describe", "health") or request.image
