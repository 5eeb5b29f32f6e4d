"""The Open Inference Protocol's messages: what is read of a request, what is refused, and in which form."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from gateway.open_inference.images import ImageResult
from gateway.open_inference.requests import JSON_LENGTH_HEADER, json_length, read
from gateway.open_inference.responses import write
from gateway.open_inference.tensors import MAX_IMAGES, pack, unpack
from pointrend.errors import InvalidRequest, RequestError
from pointrend.serving.gateway_process import Gateway

FILE = base64.b64encode(b"file").decode()
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def asking(**changes: Any) -> dict[str, Any]:
    """A request for one image, with changes to its input."""
    return {"inputs": [{"name": "image", "shape": [1], "datatype": "BYTES", "data": [FILE], **changes}]}


def read_tree(tree: object) -> Any:
    return read(json.dumps(tree).encode(), None)


def binary(elements: bytes, **changes: Any) -> tuple[bytes, int]:
    """A request whose tensor follows its JSON, and the JSON's length."""
    tree = asking(parameters={"binary_data_size": len(elements)}, **changes)
    del tree["inputs"][0]["data"]
    head = json.dumps(tree).encode()
    return head + elements, len(head)


@given(st.lists(st.binary(max_size=20), max_size=MAX_IMAGES))
def test_binary_elements_come_back(elements: list[bytes]) -> None:
    assert unpack(pack(elements)) == elements


def refused(call: Callable[[], object]) -> RequestError | None:
    """How a call is refused; None where it is not."""
    try:
        call()
    except RequestError as error:
        return error
    return None


@given(st.binary(max_size=60))
def test_binary_data_is_read_or_refused(raw: bytes) -> None:
    error = refused(lambda: unpack(raw))
    assert error.field == "data" if error else pack(unpack(raw)) == raw


@given(st.binary() | JSON_VALUES.map(lambda value: json.dumps(value).encode()), st.none() | st.integers(0, 100))
def test_anything_else_is_refused(body: bytes, length: int | None) -> None:
    assert refused(lambda: read(body, length)).status == 400


@given(st.sampled_from(["name", "shape", "datatype", "data", "parameters"]), JSON_VALUES)
def test_any_value_of_an_input_is_read_or_refused(key: str, value: Any) -> None:
    error = refused(lambda: read_tree(asking(**{key: value})))
    assert error is None or (error.status in (400, 413) and error.message.endswith("."))


@given(JSON_VALUES)
def test_any_parameters_are_read_or_refused(value: Any) -> None:
    error = refused(lambda: read_tree({**asking(), "parameters": value}))
    assert error is None or error.status in (400, 422)


@pytest.mark.parametrize(("shape", "data"), [([2], [FILE, FILE]), ([2, 1], [FILE, FILE]), ([2, 1], [[FILE], [FILE]])])
def test_several_images(shape: list[int], data: list[Any]) -> None:
    asked = read_tree(asking(shape=shape, data=data))
    assert asked.images == [b"file", b"file"]
    assert asked.shape == tuple(shape)


def test_a_data_url_and_what_is_no_base64() -> None:
    asked = read_tree(asking(shape=[4], data=[f"data:image/png;base64,{FILE}", "not base64!", 7, "ä"]))
    assert asked.images[0] == b"file"
    assert [error.code for error in asked.images[1:]] == ["invalid_base64"] * 3


def test_binary_data_follows_the_json() -> None:
    body, length = binary(pack([b"one", b""]), shape=[2])
    assert read(body, length).images == [b"one", b""]


@pytest.mark.parametrize(
    ("tree", "status", "field"),
    [
        ({}, 400, "inputs"),
        ({"inputs": []}, 400, "inputs"),
        ({"inputs": asking()["inputs"] * 2}, 400, "inputs"),
        (asking(name="photo"), 400, "name"),
        (asking(datatype="UINT8"), 400, "datatype"),
        (asking(shape=[]), 400, "shape"),
        (asking(shape=[0], data=[]), 400, "shape"),
        (asking(shape=[-1]), 400, "shape"),
        (asking(shape=[True]), 400, "shape"),
        (asking(shape=[1, 2], data=[FILE, FILE]), 400, "shape"),
        (asking(shape=[2]), 400, "data"),
        (asking(shape=[MAX_IMAGES + 1]), 413, "shape"),
        (asking(data=None), 400, "data"),
        (asking(parameters={"shared_memory_region": "x"}), 400, "parameters"),
        (asking(parameters={"binary_data_size": 4}), 400, "data"),
        ({**asking(), "id": 7}, 400, "id"),
        ({**asking(), "parameters": {"mask": "none"}}, 422, "mask"),
        ({**asking(), "parameters": {"score_threshold": 2}}, 422, "score_threshold"),
        ({**asking(), "parameters": {"sequence_id": 3}}, 422, "sequence_id"),
        ({**asking(), "parameters": {"binary_data_output": 1}}, 400, "binary_data_output"),
        ({**asking(), "outputs": [{"name": "masks"}]}, 400, "outputs"),
        ({**asking(), "outputs": [{"name": "status"}] * 2}, 400, "outputs"),
        ({**asking(), "outputs": [{"name": "status", "parameters": {"classification": 3}}]}, 400, "parameters"),
    ],
)
def test_what_is_refused_is_named(tree: Any, status: int, field: str) -> None:
    with pytest.raises(RequestError) as raised:
        read_tree(tree)
    assert (raised.value.status, raised.value.field) == (status, field)


def test_binary_data_of_another_size() -> None:
    body, length = binary(pack([b"one"]))
    for wrong in (body + b"x", body[:-1]):
        with pytest.raises(InvalidRequest, match="binary_data_size") as raised:
            read(wrong, length)
        assert raised.value.field == "binary_data_size"
    with pytest.raises(InvalidRequest, match="bytes follow the JSON"):
        read(json.dumps(asking()).encode() + b"rest", len(json.dumps(asking())))
    with pytest.raises(InvalidRequest, match="says 1"):
        read(*binary(pack([b"one", b"two"])))
    with pytest.raises(InvalidRequest, match="declares 9 bytes"):
        read(*binary(struct.pack("<I", 9) + b"one"))


@pytest.mark.parametrize("value", ["-1", "1.0", "x", "", "1, 2", "9" * 13])
def test_the_length_of_the_json_is_one_number(value: str) -> None:
    with pytest.raises(InvalidRequest):
        json_length(Headers({JSON_LENGTH_HEADER: value}))


def test_numbers_that_json_has_not() -> None:
    text = json.dumps({**asking(), "parameters": {"score_threshold": math.nan}})
    with pytest.raises(InvalidRequest, match="NaN") as raised:
        read(text.encode(), None)
    assert raised.value.code == "invalid_json"


def test_outputs_are_binary_one_by_one() -> None:
    binary_status = {"name": "status", "parameters": {"binary_data": True}}
    asked = read_tree({**asking(), "id": "7", "outputs": [binary_status, {"name": "prediction"}]})
    answer = write(asked, "pointrend", "1.0", [ImageResult(b"{}")])
    length = int(answer.headers[JSON_LENGTH_HEADER])
    body = bytes(answer.body)
    tree = json.loads(body[:length])
    assert (tree["model_name"], tree["model_version"], tree["id"]) == ("pointrend", "1.0", "7")
    assert [output["name"] for output in tree["outputs"]] == ["status", "prediction"]
    assert tree["outputs"][1]["data"] == ["{}"]
    assert body[length:] == struct.pack("<i", 200)


@pytest.mark.server
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v2/nothing", {}, 404),
        ("GET", "/v2/models/pointrend/versions/x", {}, 404),
        ("GET", "/v2/models/pointrend/versions/99.9", {}, 404),
        ("GET", "/v2/models/pointrend/infer", {}, 405),
        ("POST", "/v2/models/pointrend/infer", {}, 400),
        ("POST", "/v2/models/pointrend/infer", {"Content-Encoding": "gzip"}, 415),
        ("GET", "/v2", {"Host": "evil.example"}, 421),
        ("GET", "/v2", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_errors_are_in_the_protocols_form(
    gateway: Gateway, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = httpx.request(method, gateway.url + path, headers=headers, timeout=60)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    (message,) = answer.json().values()
    assert list(answer.json()) == ["error"]
    assert isinstance(message, str)
    assert message.endswith(".")
